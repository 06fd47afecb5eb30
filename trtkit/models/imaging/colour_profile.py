"""Colours of another profile than sRGB, brought to sRGB: what the networks were trained on and screens show."""

from __future__ import annotations

import io

from PIL import Image, ImageCms

_SPACE_OF = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
"""Pillow's mode → the profile's own name of its colour space."""


def foreign_profile(icc: bytes | None, mode: str) -> ImageCms.ImageCmsProfile | None:
    """The profile in `icc` if it holds, is meant for an image of `mode` ('L', 'RGB', 'CMYK') and is not sRGB.

    A profile that cannot be read is ignored, as every viewer does: the pixels are still a picture.
    """
    if not icc or mode not in _SPACE_OF:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space = profile.profile.xcolor_space.strip()
        description = profile.profile.profile_description or ""
    except (ImageCms.PyCMSError, OSError, ValueError, AttributeError):
        return None
    if space != _SPACE_OF[mode] or description.strip().lower().startswith("srgb"):
        return None
    return profile


def to_srgb(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """`image` in `profile` as sRGB, mode 'RGB'; converted without the profile if the two do not fit."""
    try:
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:
        converted = None
    return image.convert("RGB") if converted is None else converted
