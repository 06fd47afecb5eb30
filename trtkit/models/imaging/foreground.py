"""The colours of a cut-out: what is half transparent loses the old background's share."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.imaging.colour_fields import colour_fields
from trtkit.models.imaging.letterbox import content_size, resize
from trtkit.models.imaging.tiles import sample, tiles_with

ESTIMATE_EDGE = 512
"""Long side of the picture at which foreground and background colours are estimated: both fields are smooth, and on a
synthetic composite of 2000 pixels the error at 512 is within an eighth of that at full size."""

STRIPS, WHOLE = 3, 1 << 16
"""Parts that the last step of a small picture of more than so many pixels is done in, one after the other, so that its
scratch, 2.4 MB of 512x384, stays in a processor's cache. More parts are more calls, each of which gives Python's lock
away."""


def visible_foreground(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`rgb` uint8 [H, W, 3] with black where `alpha` uint8 [H, W] is 0 and the estimated foreground colour where it is
    between; a copy.

    From the smooth fields F̂ and B̂ of colour_fields comes F = F̂ + α·(I − α·F̂ − (1 − α)·B̂), which gives the pixel's own
    detail back: at full size, in the semi-transparent blocks alone, or in the whole of a small picture, where it leaves
    what is solid as it is.
    """
    if is_small(alpha):
        return _in_strips(rgb, alpha)
    out = np.zeros_like(rgb)
    cv2.copyTo(rgb, alpha, out)
    semi = semi_transparent(alpha)
    if not cv2.countNonZero(semi):
        return out
    height, width = content_size((alpha.shape[0], alpha.shape[1]), (ESTIMATE_EDGE, ESTIMATE_EDGE))
    size = max(1, height & ~1), max(1, width & ~1)  # so that the fields, half as large, show the picture to its edges
    fields = colour_fields(resize(rgb, size), resize(alpha, size))
    for tile in tiles_with(semi, alpha.shape):
        ahead, step = (np.array(sample(field, tile, alpha.shape)) for field in fields)
        share, rest = _by_channel(alpha[tile]), cv2.LUT(alpha[tile], _REST)
        _with_detail(rgb[tile], share, rest, ahead, step, np.empty_like(ahead), out[tile])
    return out


def is_small(alpha: NDArray[np.uint8]) -> bool:
    """Whether the picture is worked on whole rather than by its semi-transparent blocks."""
    return bool(alpha.shape[0] <= ESTIMATE_EDGE and alpha.shape[1] <= ESTIMATE_EDGE)


def semi_transparent(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [h, w], not 0 where `alpha` uint8 [h, w] is neither 0 nor 255."""
    semi = np.empty_like(alpha)
    cv2.inRange(alpha, 1, 254, dst=semi)
    return semi


def _in_strips(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """visible_foreground of a picture as large as that whose colours are estimated."""
    width = alpha.shape[1]
    fields = colour_fields(rgb, alpha)
    share, rest = _by_channel(alpha), cv2.LUT(alpha, _REST)
    out = np.empty_like(rgb)
    deep = -(-fields[0].shape[0] // (STRIPS if alpha.size > WHOLE else 1))
    room = np.empty((3, 2 * deep + 4, 2 * fields[0].shape[1], 3), np.float32)
    for first in range(0, fields[0].shape[0], deep):
        # One row of the fields above and one below, which the outermost rows are interpolated from, too.
        before = 1 if first else 0
        for field, large in zip(fields, room, strict=False):
            part = field[first - before : first + deep + 1]
            cv2.resize(part, None, dst=large[: 2 * part.shape[0]], fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
        rows = slice(2 * first, 2 * (first + deep))
        strip = out[rows]
        ahead, step, scratch = room[:, 2 * before : 2 * before + strip.shape[0], :width]
        _with_detail(rgb[rows], share[rows], rest[rows], ahead, step, scratch, strip)
    return out


def _by_channel(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`alpha` uint8 [h, w] as uint8 [h, w, 3]."""
    share = np.empty((*alpha.shape, 3), np.uint8)
    cv2.cvtColor(alpha, cv2.COLOR_GRAY2RGB, dst=share)
    return share


_REST = np.where(np.arange(256) > 0, 1 - np.arange(256) / 255, 0).astype(np.float32)
"""What an alpha of 0..255 leaves of 1; but of 0 nothing, since nothing is to be seen there."""


def _with_detail(
    image: NDArray[np.uint8],
    share: NDArray[np.uint8],
    rest: NDArray,
    ahead: NDArray[np.float32],
    step: NDArray[np.float32],
    scratch: NDArray[np.float32],
    out: NDArray[np.uint8],
) -> None:
    """F of `image` into `out`, both uint8 [h, w, 3], rounded, black where alpha is 0.

    Of alpha, `share` is _by_channel and `rest`, float32 [h, w], is by _REST; `ahead` and `step` are colour_fields',
    float32 [h, w, 3]. `ahead` and `scratch`, as large, are written to.

    F = α·I + (1 − α)·(F̂ + α·(F̂ − B̂)), whose last bracket is (2·F̂ − B̂) + (1 − α)·(B̂ − F̂): a product that is added where
    it is made, one in place, and one of bytes that is added where it is made.
    """
    cv2.cvtColor(rest, cv2.COLOR_GRAY2RGB, dst=scratch)
    cv2.accumulateProduct(scratch, step, ahead)
    cv2.multiply(scratch, ahead, dst=ahead)
    cv2.accumulateProduct(image, share, ahead)
    cv2.threshold(ahead, 0, 0, cv2.THRESH_TOZERO, dst=ahead)
    cv2.convertScaleAbs(ahead, alpha=1 / 255, dst=out)
