"""Any image file a person may hand over, as RGB pixels that stand upright.

Pillow reads the header, so that a refusal costs no pixel; OpenCV decodes 8-bit JPEG and WebP (47 against 75 ms
for 12 megapixels of JPEG, 29 against 44 for 3 of WebP; for scaled JPEG and for PNG the two are even); Pillow
decodes the rest, silently, where libpng under OpenCV writes to stderr.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trtkit.errors import Mistake
from trtkit.models.imaging.file_checks import flaw, looks_like_heic
from trtkit.models.imaging.pixels import with_opencv, with_pillow

# Pillow's own limit warns, then refuses without saying the size. `limit_megapixels` stands in its place; a
# change of this global at every call would race between a server's threads.
Image.MAX_IMAGE_PIXELS = None

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
"""What Pillow may try: its EPS reader would start Ghostscript on a stranger's file. JPEG includes MPO."""

LIMIT_MEGAPIXELS = 100.0

_GIVE = "give a JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF file"
_ORIENTATION = 0x0112
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DAMAGED = (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, EOFError, cv2.error)
"""What decoders raise for bad bytes; Pillow's readers are as varied as the formats."""


class TooManyPixels(Mistake):
    """The header says more pixels than the limit; none was decoded. `found` says it without what mends it: that is
    not the same thing on the command line and for a server's client."""

    def __init__(self, found: str) -> None:
        super().__init__(f"{found}; make it smaller or raise --max-megapixels")
        self.found = found


@dataclass(frozen=True)
class Picture:
    """`rgb` uint8 [H, W, 3], contiguous, sRGB; `alpha` uint8 [H, W] or None where nothing is transparent.

    `size` is (height, width) of the file's picture standing upright, larger than `rgb` after a scaled decode.
    """

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    size: tuple[int, int]
    source: Path


def decode(
    path: Path, *, limit_megapixels: float = LIMIT_MEGAPIXELS, at_least: tuple[int, int] | None = None
) -> Picture:
    """The picture in the file `path`: see decode_bytes. Also raises Mistake for a file that cannot be read."""
    check_readable(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    return decode_bytes(data, str(path), limit_megapixels=limit_megapixels, at_least=at_least)


def check_readable(path: Path) -> None:
    """Raises Mistake, without reading it, for a `path` that is no file: missing, a folder, a pipe."""
    try:
        if path.is_dir():
            raise Mistake(f"{path} is a folder, not an image; name a file in it")
        if not path.exists():
            raise Mistake(f"{path} does not exist; check the name")
        if not path.is_file():
            raise Mistake(f"{path} is not a regular file; {_GIVE}")
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> Mistake:
    return Mistake(f"{path} cannot be read ({error.strerror or error}); check its permissions")


def decode_bytes(
    data: bytes,
    name: str,
    *,
    limit_megapixels: float = LIMIT_MEGAPIXELS,
    at_least: tuple[int, int] | None = None,
) -> Picture:
    """The picture in the file content `data`, which messages call `name`.

    Upright by its EXIF orientation, converted to sRGB if it carries another colour profile (a broken profile
    is ignored), 16-bit samples scaled to 8, the first frame of an animation. `at_least` (height, width, of the
    upright picture) says that no more pixels are needed: a JPEG is then decoded at 1/2, 1/4 or 1/8, the
    smallest that still has them.

    Raises Mistake, one sentence with the name: empty, not an image, cut short, damaged, HEIC, floating-point,
    32-bit or signed pixels, a layout of TIFF that is not read, or more than `limit_megapixels` (found in the header,
    before a pixel is decoded).
    """
    if not data:
        raise Mistake(f"{name} is empty (0 bytes); {_GIVE}")
    if looks_like_heic(data):
        raise Mistake(f"{name} is a HEIC image, which trtkit does not read; convert it to JPEG or PNG first")
    header = _opened(data, name)
    width, height = header.size
    if width * height > limit_megapixels * 1e6:
        raise TooManyPixels(
            f"{name} is {width}x{height}, {width * height / 1e6:.1f} megapixels, over the limit of {limit_megapixels:g}"
        )
    if reason := flaw(data, header.format or ""):
        raise Mistake(f"{name} is cut short or damaged ({reason}); copy or download it again")
    orientation = _orientation(header)
    sideways = orientation >= 5
    if sideways and at_least:
        at_least = (at_least[1], at_least[0])
    try:
        rgb, alpha = with_opencv(data, header, at_least) or with_pillow(data, header, name)
    except _DAMAGED as error:
        raise Mistake(f"{name} is cut short or damaged ({error}); copy or download it again") from error
    return Picture(
        rgb=_upright(rgb, orientation),
        alpha=None if alpha is None else _upright(alpha, orientation),
        size=(width, height) if sideways else (height, width),
        source=Path(name),
    )


def _opened(data: bytes, name: str) -> Image.Image:
    """Pillow's view of the header; no pixel is decoded yet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata; the pixels decide
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except _DAMAGED as error:
        if data.startswith(_TIFF):
            raise Mistake(
                f"{name} is a TIFF that is damaged or of a layout that is not read; save it as RGB or grey with 8 or "
                "16 bits"
            ) from error
        # Pillow says "cannot identify image file <_io.BytesIO object at ...>" for a cut header too.
        raise Mistake(f"{name} is not an image that can be read; {_GIVE}") from error


def _orientation(header: Image.Image) -> int:
    """EXIF's 1..8; 1 where it is absent or unreadable, and for TIFF, which Pillow turns upright itself."""
    if header.format == "TIFF":
        return 1
    try:
        value = header.getexif().get(_ORIENTATION, 1)
    except _DAMAGED:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """`pixels` turned as EXIF's `orientation` says (TIFF 6.0, tag 274), contiguous."""
    if orientation >= 5:
        pixels = np.asarray(cv2.transpose(pixels), dtype=np.uint8)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    if flip is not None:
        pixels = np.asarray(cv2.flip(pixels, flip), dtype=np.uint8)
    return np.ascontiguousarray(pixels)
