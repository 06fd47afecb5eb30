"""A photograph and its alpha made into a cut-out, or set over another background."""

from __future__ import annotations

import re

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray
from PIL import ImageColor

from trtkit.errors import Mistake
from trtkit.models.imaging.letterbox import content_size, resize
from trtkit.models.imaging.tiles import sample, tiles_with

Colour = tuple[int, int, int]
"""RGB, each 0..255."""

ESTIMATE_EDGE = 512
"""Long side of the picture at which foreground and background colours are estimated: both fields are smooth, and on a
synthetic composite of 2000 pixels the error at 512 is within an eighth of that at full size."""

BLUR_RADII = (45, 6)
"""Of the two passes, in pixels of the estimate: the paper's 90 and 6, the first halved because hair changes its colour
over shorter distances than the paper's 90 pixels are here."""


def cutout(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA uint8 [H, W, 4], straight (not premultiplied), of `rgb` uint8 [H, W, 3] and `alpha` uint8 [H, W].

    Where alpha is between 0 and 255 the colour is the foreground's own, the old background's share taken
    out; where alpha is 0 it is black: it compresses to half and shows nobody the room behind.
    """
    rgba = np.asarray(cv2.cvtColor(_visible_foreground(rgb, alpha), cv2.COLOR_RGB2RGBA), dtype=np.uint8)
    cv2.insertChannel(alpha, rgba, 3)
    return rgba


def over_background(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], background: Colour | NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """uint8 [H, W, 3]: the foreground of `rgb` over one colour, or over a picture uint8 [h, w, 3].

    A background picture covers: scaled to fill the photograph's rectangle and cut evenly on both sides.
    """
    height, width = alpha.shape
    if isinstance(background, tuple):
        out = np.full((height, width, 3), background, np.uint8)
    else:
        out = _covering(background, (height, width))
    foreground = _visible_foreground(rgb, alpha)
    cv2.copyTo(foreground, cv2.inRange(alpha, 255, 255), out)
    semi = _semi_transparent(alpha)
    for tile in tiles_with(semi, (height, width)):
        mixed = cv2.subtract(foreground[tile], out[tile], dtype=cv2.CV_32F)
        cv2.multiply(mixed, _share(alpha[tile]), dst=mixed)
        cv2.copyTo(cv2.add(mixed, out[tile], dtype=cv2.CV_8U), semi[tile], out[tile])
    return out


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


def _semi_transparent(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.inRange(alpha, 1, 254), dtype=np.uint8)


def _visible_foreground(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`rgb` with black where alpha is 0 and the estimated foreground colour where it is between; a copy.

    Blur-fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021): the smooth estimates
    F̂, B̂ of both colours, then F = F̂ + α·(I − α·F̂ − (1 − α)·B̂), which gives the pixel's own detail back.
    The estimates are made small; the last step runs at full size on the semi-transparent blocks alone.
    """
    out = np.asarray(cv2.copyTo(rgb, alpha), dtype=np.uint8)  # an alpha of 0 is no copy: black
    semi = _semi_transparent(alpha)
    tiles = list(tiles_with(semi, alpha.shape))
    if not tiles:
        return out
    foreground, background = _estimates(rgb, alpha)
    for tile in tiles:
        front, back = (sample(field, tile, alpha.shape) for field in (foreground, background))
        cv2.copyTo(_with_detail(rgb[tile], alpha[tile], front, back), semi[tile], out[tile])
    return out


def _estimates(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """F̂ and B̂: float32 [h, w, 3], 0..255, long side at most ESTIMATE_EDGE.

    In OpenCV's calls on whole arrays, into arrays that are there: a broadcast over three channels costs numpy seven
    times the product, and a fresh array of some megabytes costs the kernel more than the sum that is put in it.
    """
    size = (alpha.shape[0], alpha.shape[1])
    if max(size) > ESTIMATE_EDGE:
        size = content_size(size, (ESTIMATE_EDGE, ESTIMATE_EDGE))
    image, weight = resize(rgb, size), resize(alpha, size)
    rest = cv2.bitwise_not(weight)
    far, near = BLUR_RADII
    front, back = _weighted_blur(image, weight, far), _weighted_blur(image, rest, far)
    detailed = _with_detail(image, weight, front, back)
    return _weighted_blur(detailed, weight, near, front), _weighted_blur(cv2.convertScaleAbs(back), rest, near, back)


def _weighted_blur(colour: MatLike, weight: MatLike, radius: int, out: MatLike | None = None) -> NDArray[np.float32]:
    """Box mean of `colour` uint8 [h, w, 3] weighted by `weight` uint8 [h, w]; 0 where no weight is near.

    Of bytes, whose products and their sums are integers: exact, and faster. The mean is `out` (float32 [h, w, 3]),
    if that is given.
    """
    edge = (2 * radius + 1, 2 * radius + 1)
    product = np.multiply(colour, cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB), dtype=np.uint16)
    total = cv2.boxFilter(product, cv2.CV_32F, edge, dst=out)
    mass = cv2.boxFilter(weight, cv2.CV_32F, edge) + np.float32(255e-5)
    return np.asarray(cv2.divide(total, cv2.cvtColor(mass, cv2.COLOR_GRAY2RGB), dst=total), dtype=np.float32)


def _with_detail(image: MatLike, alpha: MatLike, front: MatLike, back: MatLike) -> MatLike:
    """F of `image` uint8 [h, w, 3], `alpha` uint8 [h, w] and both estimates float32 [h, w, 3]: uint8, rounded."""
    share = _share(alpha)
    colour = cv2.subtract(front, back)
    cv2.multiply(colour, share, dst=colour)
    cv2.add(colour, back, dst=colour)
    cv2.subtract(image, colour, dst=colour, dtype=cv2.CV_32F)
    cv2.multiply(colour, share, dst=colour)
    return cv2.add(colour, front, dtype=cv2.CV_8U)


def _share(alpha: MatLike) -> MatLike:
    """`alpha` uint8 [h, w] as float32 [h, w, 3], 0..1."""
    return cv2.cvtColor(np.multiply(alpha, np.float32(1 / 255), dtype=np.float32), cv2.COLOR_GRAY2RGB)


def _covering(picture: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The largest centred part of `picture` with the aspect of `size` (height, width), at that size; a copy."""
    height, width = content_size(size, (picture.shape[0], picture.shape[1]))
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    return resize(picture[top : top + height, left : left + width], size).copy()
