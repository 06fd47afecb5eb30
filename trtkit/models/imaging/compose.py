"""A photograph and its alpha made into a cut-out, or set over another background."""

from __future__ import annotations

import re
from collections.abc import Sequence

import cv2
import numpy as np
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
    if _is_small(alpha):
        _mix(foreground, _share(alpha), out)
        return out
    cv2.copyTo(foreground, cv2.inRange(alpha, 255, 255), out)
    semi = _semi_transparent(alpha)
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


def _is_small(alpha: NDArray[np.uint8]) -> bool:
    """Whether the picture is worked on whole rather than by its semi-transparent blocks."""
    return bool(max(alpha.shape) <= ESTIMATE_EDGE)


def _semi_transparent(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    semi = np.empty_like(alpha)
    cv2.inRange(alpha, 1, 254, dst=semi)
    return semi


def _alpha(matte: NDArray[np.uint8], own: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    return matte if own is None else np.minimum(matte, own)


def _foreground(rgb: NDArray[np.uint8], matte: NDArray[np.uint8], own: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """As _visible_foreground of `rgb` and `matte`, and where `own` lets less through than the matte, `rgb` itself: what
    came transparent has straight colours, with no background in them. Black where `own` is 0, too."""
    estimated = _visible_foreground(rgb, matte)
    if own is None:
        return estimated
    # Equal, too: at the edges of a cut-out that is cut out again both say the same.
    cv2.copyTo(rgb, cv2.compare(own, matte, cv2.CMP_LE), estimated)
    return np.asarray(cv2.copyTo(estimated, own, np.zeros_like(rgb)), dtype=np.uint8)


def _visible_foreground(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`rgb` with black where alpha is 0 and the estimated foreground colour where it is between; a copy.

    Blur-fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP 2021): the smooth estimates
    F̂, B̂ of both colours, then F = F̂ + α·(I − α·F̂ − (1 − α)·B̂), which gives the pixel's own detail back.
    The estimates are made small; the last step runs at full size on the semi-transparent blocks alone, or on the whole
    of a small picture, where it changes nothing that is solid.
    """
    out = np.zeros_like(rgb)
    semi = _semi_transparent(alpha)
    if not cv2.countNonZero(semi):
        cv2.copyTo(rgb, alpha, out)  # an alpha of 0 is no copy: black
        return out
    if _is_small(alpha):
        share = _share(alpha)
        estimates = _estimates(rgb, alpha, share)
        cv2.copyTo(_with_detail(rgb, share, *estimates), alpha, out)
        return out
    cv2.copyTo(rgb, alpha, out)
    size = content_size((alpha.shape[0], alpha.shape[1]), (ESTIMATE_EDGE, ESTIMATE_EDGE))
    weight = resize(alpha, size)
    foreground, background = _estimates(resize(rgb, size), weight, _share(weight))
    for tile in tiles_with(semi, alpha.shape):
        front, back = (sample(field, tile, alpha.shape) for field in (foreground, background))
        cv2.copyTo(_with_detail(rgb[tile], _share(alpha[tile]), front, back), semi[tile], out[tile])
    return out


def _estimates(image: NDArray[np.uint8], weight: NDArray[np.uint8], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """F̂ and B̂: float32 [2, h, w, 3], 0..1, of `image` uint8 [h, w, 3] and its alpha `weight` uint8 [h, w], which is
    `share` float32 [h, w, 3], too.

    In few calls on whole arrays, into arrays that are there: a broadcast over channels costs numpy seven times the
    product, and each call, and each array that OpenCV makes, gives Python's lock away once, which a server's threads
    then have to win back from each other.
    """
    weights = np.empty((2, *weight.shape, 4), np.uint8)
    cv2.merge([weight] * 4, dst=weights[0])
    cv2.bitwise_not(weights[0], dst=weights[1])
    colours = np.empty_like(weights)
    cv2.cvtColor(image, cv2.COLOR_RGB2RGBA, dst=colours[0])
    estimates = np.empty((*weights.shape[:3], 3), np.float32)
    far, near = BLUR_RADII
    _weighted_blur((colours[0], colours[0]), weights, far, estimates)
    front, back = estimates
    detailed = np.empty(estimates.shape, np.uint8)
    _with_detail(image, share, front, back, detailed[0])
    cv2.convertScaleAbs(back, alpha=255, dst=detailed[1])
    cv2.cvtColor(detailed.reshape(1, -1, 3), cv2.COLOR_RGB2RGBA, dst=colours.reshape(1, -1, 4))
    _weighted_blur(colours, weights, near, estimates)
    return estimates


def _weighted_blur(
    colours: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    weights: NDArray[np.uint8],
    radius: int,
    out: NDArray[np.float32],
) -> None:
    """Box means of two `colours` uint8 [h, w, 4], opaque RGBA, weighted by two `weights`, uint8 [2, h, w, 4], equal in
    all channels: put into `out`, float32 [2, h, w, 3], 0..1; 0 where no weight is near.

    Of bytes, whose products and their sums are integers: exact, and faster. The fourth channel becomes the mean
    weight, by which the others are divided as homogeneous coordinates are by their last. One colour after the other,
    so that the scratch is small enough for a processor's cache.
    """
    product, total = np.empty(weights.shape[1:], np.uint16), np.empty(weights.shape[1:], np.float32)
    mass = total[..., 3]
    for layer in range(2):
        np.multiply(colours[layer], weights[layer], out=product, dtype=np.uint16)
        cv2.boxFilter(product, cv2.CV_32F, (2 * radius + 1, 2 * radius + 1), dst=total)
        np.add(mass, _LEAST_WEIGHT, out=mass)
        cv2.convertPointsFromHomogeneous(total.reshape(-1, 1, 4), dst=out[layer].reshape(-1, 1, 3))


_LEAST_WEIGHT = np.float32(1e-5 * 255**2)
"""Added to the mean weight: the paper's 1e-5 of a weight of 1, which is 255 times a byte of 255 here."""


def _with_detail(
    image: NDArray[np.uint8], share: NDArray[np.float32], front: NDArray, back: NDArray, out: NDArray | None = None
) -> NDArray[np.uint8]:
    """F of `image` uint8 [h, w, 3], its alpha `share` and both estimates, all float32 [h, w, 3], 0..1: uint8, rounded;
    put into `out`, if that is given."""
    if out is None:
        out = np.empty_like(image)
    colour = np.empty(share.shape, np.float32)
    cv2.subtract(front, back, dst=colour)
    cv2.multiply(colour, share, dst=colour)
    cv2.add(colour, back, dst=colour)
    cv2.addWeighted(image, 1 / 255, colour, -1, 0, dst=colour, dtype=cv2.CV_32F)
    cv2.multiply(colour, share, dst=colour)
    cv2.addWeighted(colour, 255, front, 255, 0, dst=out, dtype=cv2.CV_8U)
    return out


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
