"""A finished picture as the bytes of a file."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trtkit.errors import Mistake
from trtkit.files import write_whole
from trtkit.models.imaging.png import png

SUFFIXES = (".png", ".webp", ".jpg", ".jpeg")

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 92]
_WEBP = {"quality": 90, "method": 0}
"""Lossy colour, lossless alpha. Pillow, not OpenCV: OpenCV has no `method` and takes three times as long."""


class NoTransparency(Mistake):
    """A transparent result as a JPEG. `found` says it without what mends it: that is not the same thing on the command
    line and for a server's client. `opaque_with` are the model's options that mend it."""

    def __init__(self, name: str, opaque_with: tuple[str, ...] = ()) -> None:
        self.found = f"{name} is a JPEG, which has no transparency"
        flags = " or ".join(f"--{option.replace('_', '-')}" for option in opaque_with)
        super().__init__(f"{self.found}; write .png or .webp{f', or give {flags}' if flags else ''}")


def encode(image: NDArray[np.uint8], suffix: str, name: str = "") -> bytes:
    """The file content of `image`: uint8 [H, W] grey or alpha, [H, W, 3] RGB or [H, W, 4] RGBA.

    `suffix` is .png (lossless), .webp (quality 90) or .jpg/.jpeg (quality 92, without alpha), in any case;
    `name` is what messages call the file. Raises Mistake for another suffix, for alpha in a JPEG, and for
    a picture past the 16383 (WebP) or 65500 (JPEG) pixels a side that the format holds.
    """
    kind = suffix.lower()
    name = name or f"a {suffix} file"
    check_suffix(suffix, name)
    if image.ndim == 3 and image.shape[2] == 4:
        check_transparency(suffix, name)
    limit = {".webp": 16383, ".jpg": 65500, ".jpeg": 65500}.get(kind)
    if limit and max(image.shape[:2]) > limit:
        raise Mistake(
            f"{name} would be {image.shape[1]}x{image.shape[0]}, and {kind} holds {limit} pixels a side; write .png"
        )
    if kind == ".webp":
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "WEBP", **_WEBP)
        return stream.getvalue()
    return png(image) if kind == ".png" else _jpeg(image)


def check_suffix(suffix: str, name: str) -> None:
    """Raises Mistake where no image can be written as `suffix`, in any case; `name` is what it calls the file."""
    if suffix.lower() not in SUFFIXES:
        raise Mistake(f"{name} cannot be written as an image; give it one of the suffixes {', '.join(SUFFIXES)}")


def check_transparency(suffix: str, name: str, opaque_with: tuple[str, ...] = ()) -> None:
    """Raises NoTransparency where `suffix`, in any case, holds no alpha; `name` is what it calls the file."""
    if suffix.lower() in (".jpg", ".jpeg"):
        raise NoTransparency(name, opaque_with)


def write(path: Path, image: NDArray[np.uint8]) -> None:
    """Encode `image` for the suffix of `path` and write it whole or not at all; raises Mistake as encode does."""
    write_whole(path, encode(image, path.suffix, str(path)))


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    ordered = image
    if image.ndim == 3:
        ordered = np.empty_like(image, order="C")
        cv2.cvtColor(image, cv2.COLOR_RGB2BGR, dst=ordered)
    done, content = cv2.imencode(".jpg", ordered, _JPEG)
    if not done:
        raise RuntimeError(f"OpenCV refused to encode {image.shape} as a JPEG")
    return content.tobytes()
