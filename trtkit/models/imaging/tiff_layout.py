"""TIFF layouts that Pillow hands over as something else than they are; the header tells, before a pixel is decoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image, ImagePalette

_BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _PLANAR = 258, 259, 262, 266, 284
_COLOUR_MAP, _EXTRA, _FORMAT, _SUBSAMPLING = 320, 338, 339, 530
_WHITE_IS_ZERO, _YCBCR = 0, 6
_SIGNED = 2
_PREMULTIPLIED = 1


def tiff_flaw(image: Image.Image) -> str | None:
    """Why the TIFF `image`, opened and not yet loaded, would come out wrong, as 'has what it has; what would be right'.

    None where it comes out right, or where decoding it says so itself.
    """
    tags = _tags(image)
    if _SIGNED in tags.get(_FORMAT, ()) and max(tags.get(_BITS, (1,))) <= 16:  # wider ones show by their mode
        return "holds signed samples; save it as RGB or grey with 8 or 16 bits"
    raw = tags.get(_COMPRESSION, 1) == 1
    if tags.get(_PLANAR, 1) == 2 and not _planes_are_read(image.mode, tags, raw):
        return (
            "is stored plane by plane (PlanarConfiguration 2) in a form that is not read; save it with interleaved "
            "channels (PlanarConfiguration 1)"
        )
    if raw and tags.get(_PHOTOMETRIC) == _YCBCR and tuple(tags.get(_SUBSAMPLING, (2, 2))) != (1, 1):
        return "holds uncompressed YCbCr of reduced colour; save it as RGB"
    return None


def _planes_are_read(mode: str, tags: Mapping[int, Any], raw: bool) -> bool:
    """Whether Pillow reads separate planes right. Compressed ones through libtiff, but for a grey or palette picture's
    alpha, which comes out opaque; raw ones by the first letters of how it would read them interleaved, which is right
    for plain bytes and bits alone."""
    if not raw:
        return mode not in ("LA", "La", "PA")
    plain = (
        set(tags.get(_BITS, (1,))) == {1 if mode == "1" else 8}
        and tags.get(_FILL_ORDER, 1) == 1
        and tags.get(_PHOTOMETRIC) != _WHITE_IS_ZERO
        and _PREMULTIPLIED not in tags.get(_EXTRA, ())
    )
    return plain and mode in ("1", "L", "P", "RGB", "RGBA", "CMYK")


def grey_range(image: Image.Image) -> tuple[int, int]:
    """(black, white) of the grey samples of more than 8 bits that Pillow hands over for `image`, of any format."""
    tags = _tags(image)
    white = (1 << tags.get(_BITS, (16,))[0]) - 1
    # Pillow inverts where white is 0, but not these.
    return (white, 0) if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else (0, white)


def mend_palette(image: Image.Image) -> None:
    """Colours of a TIFF's palette that are written as bytes, where the format has 16 bits: those came out black."""
    colours = _tags(image).get(_COLOUR_MAP)
    if image.mode in ("P", "PA") and colours and max(colours) < 256:
        image.palette = ImagePalette.raw("RGB;L", bytes(colours))


def _tags(image: Image.Image) -> Mapping[int, Any]:
    """By number; none of another format than TIFF."""
    return getattr(image, "tag_v2", {})
