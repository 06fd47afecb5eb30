"""Work on the few places of a large picture that need it.

In a cut-out of 12 megapixels a few per cent of the pixels are semi-transparent. What is computed for them
alone costs a few per cent, provided that it is found and read in blocks rather than pixel by pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

TILE = 128
"""Edge of a block in pixels: small enough to skip most of a picture, large enough to keep calls cheap."""

WIDEST = 4 * TILE
"""Columns of the blocks that are worked on at once where they lie side by side: against single ones, 0.45 of the calls,
each of which gives Python's lock away, and 0.84 to 0.98 of the time. Twice as many bring no more."""

Tile = tuple[slice, slice]
"""Rows and columns of some blocks of the full-size picture."""


def tiles_with(mask: NDArray, size: tuple[int, int]) -> Iterator[Tile]:
    """The blocks of a picture of `size` in which `mask` is anywhere nonzero, neighbours in a row together.

    `mask` [h, w] of any dtype may be smaller than the picture; it is then taken as spread over it, and a
    block counts as hit when linear interpolation between mask pixels could reach into it.
    """
    scale_y, scale_x = mask.shape[0] / size[0], mask.shape[1] / size[1]
    for top in range(0, size[0], TILE):
        bottom = min(top + TILE, size[0])
        rows = _reach(top, bottom, scale_y)
        if not mask[rows].any():
            continue
        begun: int | None = None
        for left in range(0, size[1], TILE):
            right = min(left + TILE, size[1])
            if not mask[rows, _reach(left, right, scale_x)].any():
                if begun is not None:
                    yield slice(top, bottom), slice(begun, left)
                begun = None
                continue
            begun = left if begun is None else begun
            if right - begun >= WIDEST or right == size[1]:
                yield slice(top, bottom), slice(begun, right)
                begun = None


def sample(field: NDArray, tile: Tile, size: tuple[int, int]) -> NDArray:
    """What `field` ([h, w] or [h, w, C≤4], float32 or uint8), enlarged linearly to `size`, shows in `tile`.

    Pixel centres map as in cv2.resize: x_small = (x + ½)·w/W − ½, to within 1/64 of a small pixel. The small pixels
    around the tile go through cv2.resize, which takes a fifth of what warpAffine takes for the tile alone.
    """
    if field.shape[:2] == size:
        return field[tile]
    scale_y, scale_x = field.shape[0] / size[0], field.shape[1] / size[1]
    (rows, top), (columns, left) = _aligned(tile[0], scale_y), _aligned(tile[1], scale_x)
    small = field[rows, columns]
    room = np.empty((round(small.shape[0] / scale_y), round(small.shape[1] / scale_x), *field.shape[2:]), field.dtype)
    large = cv2.resize(small, None, dst=room, fx=1 / scale_x, fy=1 / scale_y, interpolation=cv2.INTER_LINEAR)
    height, width = tile[0].stop - tile[0].start, tile[1].stop - tile[1].start
    return np.asarray(large[top : top + height, left : left + width])


def _aligned(pixels: slice, scale: float) -> tuple[slice, int]:
    """The small pixels to enlarge for these full-size ones, and how many of what they make lie before those.

    Begins at an edge of a small pixel that is, nearly, an edge of a full-size one; both begin at 0 at the latest.
    """
    reach = _reach(pixels.start, pixels.stop, scale)
    for first in range(reach.start, -1, -1):
        ahead = pixels.start - first / scale
        whole = math.ceil(ahead - 0.5)
        if abs(ahead - whole) * scale <= 1 / 64:
            break
    return slice(first, reach.stop), whole


def _reach(start: int, stop: int, scale: float) -> slice:
    """The small pixels that linear interpolation reads for full-size pixels start..stop-1."""
    if scale == 1.0:
        return slice(start, stop)
    return slice(max(0, int((start + 0.5) * scale - 0.5)), int((stop - 0.5) * scale - 0.5) + 2)
