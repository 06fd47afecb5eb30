"""A photograph and its alpha made into a cut-out, or set over another background."""

from __future__ import annotations

import re

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from trtkit.errors import Mistake
from trtkit.models.imaging.foreground import is_small, semi_transparent, visible_foreground
from trtkit.models.imaging.letterbox import content_size, resize
from trtkit.models.imaging.tiles import tiles_with

Colour = tuple[int, int, int]
"""RGB, each 0..255."""


def cutout(rgb: NDArray[np.uint8], matte: NDArray[np.uint8], own: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """RGBA uint8 [H, W, 4], straight (not premultiplied), of `rgb` uint8 [H, W, 3] and its `matte` uint8 [H, W].

    `own` uint8 [H, W] is the transparency that the picture came with; alpha is the lesser of the two.
    Where the matte is between 0 and 255 the colour is the foreground's own, the old background's share taken
    out; where alpha is 0 it is black: it compresses to half and shows nobody the room behind.
    """
    rgba = np.empty((*matte.shape, 4), np.uint8)
    cv2.cvtColor(_foreground(rgb, matte, own), cv2.COLOR_RGB2RGBA, dst=rgba)
    cv2.insertChannel(_alpha(matte, own), rgba, 3)
    return rgba


def over_background(
    rgb: NDArray[np.uint8],
    matte: NDArray[np.uint8],
    background: Colour | NDArray[np.uint8],
    own: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """uint8 [H, W, 3]: the cut-out of `rgb`, `matte` and `own` over one colour, or over a picture uint8 [h, w, 3].

    A background picture covers: scaled to fill the photograph's rectangle and cut evenly on both sides.
    """
    alpha = _alpha(matte, own)
    height, width = alpha.shape
    if isinstance(background, tuple):
        out = np.full((height, width, 3), background, np.uint8)
    else:
        out = _covering(background, (height, width))
    foreground = _foreground(rgb, matte, own)
    if is_small(alpha):
        _mix(foreground, _share(alpha), out)
        return out
    cv2.copyTo(foreground, cv2.inRange(alpha, 255, 255), out)
    semi = semi_transparent(alpha)
    for tile in tiles_with(semi, (height, width)):
        _mix(foreground[tile], _share(alpha[tile]), out[tile])
    return out


def over_colour(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], colour: Colour) -> NDArray[np.uint8]:
    """uint8 [H, W, 3]: `rgb` uint8 [H, W, 3], whose colours are straight, over `colour` by `alpha` uint8 [H, W]."""
    out = np.full(rgb.shape, colour, np.uint8)
    _mix(rgb, _share(alpha), out)
    return out


def _mix(foreground: NDArray[np.uint8], share: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """`foreground` uint8 [h, w, 3] over what `out` (the same) holds, by `share` float32 [h, w, 3]: put into `out`,
    rounded, and exactly what either is where the share is 1 or 0."""
    mixed = np.empty(out.shape, np.float32)
    cv2.subtract(foreground, out, dst=mixed, dtype=cv2.CV_32F)
    cv2.multiply(mixed, share, dst=mixed)
    cv2.add(mixed, out, dst=out, dtype=cv2.CV_8U)


def parse_color(text: str) -> Colour:
    """'#fff', '#ffffff', 'white' or '255,255,255' as RGB. Raises Mistake, naming --background, for all else."""
    value = text.strip()
    if re.fullmatch(r"\d{1,3}(\s*,\s*\d{1,3}){2}", value):
        red, green, blue = (int(part) for part in value.split(","))
        if max(red, green, blue) <= 255:
            return red, green, blue
    elif re.fullmatch(r"#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6}|[a-zA-Z]+", value):
        try:
            return ImageColor.getrgb(value)[:3]
        except ValueError:
            pass
    raise Mistake(f"--background '{text}' is not a colour; give a name like white, #fff, #ffffff or 255,255,255")


def _alpha(matte: NDArray[np.uint8], own: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    return matte if own is None else np.minimum(matte, own)


def _foreground(rgb: NDArray[np.uint8], matte: NDArray[np.uint8], own: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """As visible_foreground of `rgb` and `matte`, and where `own` lets less through than the matte, `rgb` itself: what
    came transparent has straight colours, with no background in them. Black where `own` is 0, too."""
    estimated = visible_foreground(rgb, matte)
    if own is None:
        return estimated
    # Equal, too: at the edges of a cut-out that is cut out again both say the same.
    cv2.copyTo(rgb, cv2.compare(own, matte, cv2.CMP_LE), estimated)
    return np.asarray(cv2.copyTo(estimated, own, np.zeros_like(rgb)), dtype=np.uint8)


def _share(alpha: NDArray[np.uint8]) -> NDArray[np.float32]:
    """`alpha` uint8 [h, w] as float32 [h, w, 3], 0..1."""
    share = np.empty((*alpha.shape, 3), np.float32)
    cv2.cvtColor(np.multiply(alpha, np.float32(1 / 255), dtype=np.float32), cv2.COLOR_GRAY2RGB, dst=share)
    return share


def _covering(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The largest centred part of `picture` with the aspect of `size` (height, width), at that size; a copy."""
    height, width = content_size(size, (picture.shape[0], picture.shape[1]))
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return resize(picture[top : top + height, left : left + width], size).copy()
