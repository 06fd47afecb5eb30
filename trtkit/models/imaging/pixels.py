"""The pixels of an opened image file, whatever their layout, as 8-bit sRGB and an optional alpha."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from trtkit.errors import Mistake
from trtkit.models.imaging.colour_profile import foreign_profile, to_srgb
from trtkit.models.imaging.jpeg_fill import ends_in_fill
from trtkit.models.imaging.png_key import keyed_alpha
from trtkit.models.imaging.tiff_layout import grey_range, mend_palette, tiff_flaw

Pixels = tuple[NDArray[np.uint8], NDArray[np.uint8] | None]
"""RGB uint8 [H, W, 3] and alpha uint8 [H, W], or None where nothing is transparent; as stored, not yet upright."""

_REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


def with_opencv(data: bytes, header: Image.Image, at_least: tuple[int, int] | None) -> Pixels | None:
    """8-bit RGB or grey JPEG, or opaque still WebP, decoded by OpenCV; None for all else and if it fails.

    With `at_least` (height, width, as stored) a JPEG is decoded at the smallest of 1/8, 1/4, 1/2, 1 that has as
    many pixels: the inverse cosine transform of fewer coefficients, no full picture in between. Raises ValueError for
    a JPEG that lacks data for its end.
    """
    icc = header.info.get("icc_profile")
    jpeg = header.format in ("JPEG", "MPO") and (header.mode == "RGB" or (header.mode == "L" and not icc))
    webp = header.format == "WEBP" and header.mode == "RGB" and getattr(header, "n_frames", 1) == 1
    if not (jpeg or webp):
        return None
    buffer = np.frombuffer(data, np.uint8)
    factor = _reduction((header.height, header.width), at_least) if jpeg else 1
    if factor > 1:
        bgr = cv2.imdecode(buffer, _REDUCED[factor] | cv2.IMREAD_IGNORE_ORIENTATION)
        rgb = None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    else:
        rgb = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if rgb is None:
        return None
    if jpeg:
        _check_end(data, rgb[-1, -1])
    if profile := foreign_profile(icc, "RGB"):
        rgb = np.array(to_srgb(Image.fromarray(rgb), profile))
    return np.asarray(rgb, dtype=np.uint8), None


def _check_end(data: bytes, last: NDArray[np.uint8]) -> None:
    if ends_in_fill(data, last):
        raise ValueError("data is missing before its end marker")


def with_pillow(data: bytes, image: Image.Image, name: str) -> Pixels:
    """The first frame of `image`, which is the file `data` opened by Pillow, in every mode it has.

    Raises Mistake, naming `name`, for pixels without a stated white (float, 32-bit, signed), in Lab, or in a layout of
    TIFF that Pillow misreads, and whatever Pillow raises for damaged data.
    """
    icc = image.info.get("icc_profile")
    if flaw := tiff_flaw(image):
        raise Mistake(f"{name} {flaw}")
    mend_palette(image)
    image.load()
    if image.format in ("JPEG", "MPO"):
        _check_end(data, np.array(image.getpixel((image.width - 1, image.height - 1)), np.uint8))
    alpha = keyed_alpha(data, image)
    if image.mode.startswith("I;16"):
        image = Image.fromarray(_to_bytes(np.asarray(image), *grey_range(image)))
    elif image.mode in ("I", "F", "LAB"):
        raise Mistake(f"{name} holds {_MEANING[image.mode]} pixels; save it as RGB or grey with 8 or 16 bits")
    elif alpha is None and image.has_transparency_data:
        grey = image.mode in ("LA", "La") or (image.format == "PNG" and data[25] == _GREY_ALPHA)
        image, alpha = _apart(image, grey)
    elif image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        # Adobe stores ink inverted and says so; Pillow inverts every CMYK JPEG, said or not.
        image = ImageChops.invert(image)
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    profile = foreign_profile(icc, image.mode)
    rgb = to_srgb(image, profile) if profile else image.convert("RGB")
    return np.array(rgb), None if alpha is None or alpha.min() == 255 else alpha


def _apart(image: Image.Image, grey: bool) -> tuple[Image.Image, NDArray[np.uint8]]:
    """The colours of a transparent image, straight, and its alpha. Grey stays 'L': its colour profile is for grey."""
    # From premultiplied grey Pillow knows one way only.
    rgba = np.asarray((image.convert("LA") if image.mode == "La" else image).convert("RGBA"))
    colours = cv2.extractChannel(rgba, 0) if grey else cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
    return Image.fromarray(np.asarray(colours)), np.asarray(cv2.extractChannel(rgba, 3), dtype=np.uint8)


_GREY_ALPHA = 4
"""A PNG's colour type; of its 16-bit form Pillow makes RGBA."""


def _to_bytes(samples: NDArray, black: int, white: int) -> NDArray[np.uint8]:
    """Grey uint16 [H, W] of which one of `black` and `white` is 0 and the other the largest, as uint8, rounded."""
    top = max(black, white)
    # convert('L') would clip every sample above 255 to it.
    scaled = ((samples.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)
    return np.bitwise_not(scaled) if black else scaled


_MEANING = {"I": "32-bit integer", "F": "floating-point", "LAB": "Lab"}


def _reduction(stored: tuple[int, int], at_least: tuple[int, int] | None) -> int:
    """The largest of 8, 4, 2, 1 that leaves `stored` (height, width) no smaller than `at_least` or itself."""
    if at_least is None:
        return 1
    needed = (min(at_least[0], stored[0]), min(at_least[1], stored[1]))
    for factor in _REDUCED:
        if -(-stored[0] // factor) >= needed[0] and -(-stored[1] // factor) >= needed[1]:
            return factor
    return 1
