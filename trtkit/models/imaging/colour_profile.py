"""Colours of another profile than sRGB, brought to sRGB: what the networks were trained on and screens show."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_SPACE_OF = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
"""Pillow's mode → the profile's own name of its colour space."""

_ROUNDING = 2
"""Grey levels that a profile may move a colour by and still be sRGB: the usual ones, whose curves and primaries are
rounded each in its own way, move none by more than 1; a gamma of 2.2 in place of the curve moves some by 5 and more."""

_REMEMBERED = 1 << 16
"""Bytes: the usual profiles of sRGB have 456 to 61,000. What is larger is not kept, since anybody may send it."""


def foreign_profile(icc: bytes | None, mode: str) -> ImageCms.ImageCmsProfile | None:
    """The profile in `icc` if it holds, is meant for an image of `mode` ('L', 'RGB', 'CMYK') and is not sRGB.

    A profile that cannot be read is ignored, as every viewer does: the pixels are still a picture.
    """
    if not icc or mode not in _SPACE_OF:
        return None
    try:
        profile = _profile(icc)
        space = profile.profile.xcolor_space.strip()
    except (ImageCms.PyCMSError, OSError, ValueError, AttributeError):
        return None
    if space != _SPACE_OF[mode]:
        return None
    is_srgb = _is_srgb if len(icc) <= _REMEMBERED else _is_srgb.__wrapped__
    return None if is_srgb(icc, mode) else profile


def to_srgb(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """`image` in `profile` as sRGB, mode 'RGB'; converted without the profile if the two do not fit."""
    try:
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:
        converted = None
    return image.convert("RGB") if converted is None else converted


def _profile(icc: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(icc))


@lru_cache(maxsize=64)
def _is_srgb(icc: bytes, mode: str) -> bool:
    """Whether the profile leaves colours as they are. By trying, since its name may say anything: there is an
    'sRGB-elle-V2-g10.icc' of linear light, and 'GIMP built-in sRGB' is sRGB. Half a millisecond, so it is kept."""
    if mode == "CMYK":
        return False
    ramp = np.arange(0, 256, 5, dtype=np.uint8)
    colours = np.repeat(ramp[:, None], 3, axis=1)
    if mode == "RGB":
        corners = np.array(np.meshgrid(*[[0, 64, 128, 192, 255]] * 3), dtype=np.uint8).reshape(3, -1).T
        colours = np.concatenate([colours, corners])
    # Unoptimised: what makes a transform quick over a picture takes five times as long to make as this to use.
    intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.NOOPTIMIZE
    try:
        transform = ImageCms.buildTransform(
            _profile(icc), ImageCms.createProfile("sRGB"), mode, "RGB", renderingIntent=intent, flags=flags
        )
        tried = ImageCms.applyTransform(Image.fromarray(ramp[None] if mode == "L" else colours[None]), transform)
    except ImageCms.PyCMSError:
        return False
    moved = np.abs(np.asarray(tried, dtype=np.int16)[0] - colours)
    return int(moved.max()) <= _ROUNDING
