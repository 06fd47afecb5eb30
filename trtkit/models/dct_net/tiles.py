"""The background network on a picture of any size, in constant memory, with the result of one whole run.

A tile reads a rim as wide as the network sees (receptive_field.py) and that rim of its output is thrown away. Tiles
begin at multiples of four, where the stride-2 layers begin anew, and one that touches the picture's edge ends exactly
there: zero padding and the guided filter's smaller windows happen at the true edges and nowhere else in what is kept.
All tiles have one shape, so a backend prepares for one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trtkit import byte_size
from trtkit.errors import Mistake
from trtkit.models.dct_net.receptive_field import STRIDE, overlap

Image = NDArray[np.uint8]
Shape = tuple[int, int]

BYTES_PER_PIXEL = 768
"""More than ONNX Runtime's CPU provider holds for a pixel of the 32-channel network: 550 at 640², 530 at 1 megapixel,
650 at 1536² (its arena grows in powers of two). A narrower network takes less."""

RESERVED = 256 * 2**20
"""What the process has beside that: Python, libraries, weights."""

DEFAULT_MEMORY = 2 * 2**30

_LEAST_SIDE = 256
"""A smaller tile would be mostly rim."""


@dataclass(frozen=True)
class Span:
    """Along one axis: a tile of fixed length begins at `origin`; its output counts from `start` up to `stop`."""

    origin: int
    start: int
    stop: int


def largest_area(max_memory: int) -> int:
    """Pixels of a tile that `max_memory` bytes allow. Raises Mistake if that is less than the least tile."""
    area = (max_memory - RESERVED) // BYTES_PER_PIXEL
    if area < _LEAST_SIDE**2:
        least = math.ceil((RESERVED + _LEAST_SIDE**2 * BYTES_PER_PIXEL) / 2**20) * 2**20
        raise Mistake(
            f"--max-memory {byte_size.text(max_memory)} is too little for a tile of {_LEAST_SIDE}x{_LEAST_SIDE}; "
            f"right would be at least {byte_size.text(least)}"
        )
    return area


def largest_tile(shapes: Sequence[Sequence[int]]) -> Shape | None:
    """(height, width) of the widest of an engine's maximal input shapes [N, H, W, C]; None if there are none."""
    return max(((shape[1], shape[2]) for shape in shapes), key=math.prod, default=None)


def tile_shape(size: Shape, area: int, largest: Shape | None = None) -> Shape:
    """The shape of the tiles for a picture of `size` (height, width, multiples of four), its own if it fits.

    A tile has at most `area` pixels and is no larger than `largest` (an engine's profile). Of the shapes that need
    the same number of tiles the smallest is taken.
    """
    height, width = size
    if largest is not None:
        height, width = min(height, largest[0]), min(width, largest[1])
    if height * width > area:
        side = math.isqrt(area)
        short = min(height, width, side)
        long = area // short
        height, width = (short, min(width, long)) if height <= width else (min(height, long), short)
        height, width = height // STRIDE * STRIDE, width // STRIDE * STRIDE
    return _tightened(size[0], height), _tightened(size[1], width)


def spans(length: int, tile: int) -> Iterator[Span]:
    """Tiles of length `tile` along an axis of `length`; together their kept parts cover it once."""
    rim = overlap()
    start = 0
    while start < length:
        origin = max(0, start - rim)
        last = origin + tile >= length
        origin = max(0, length - tile) if last else origin
        stop = length if last else origin + tile - rim
        yield Span(origin, start, stop)
        start = stop


def run_tiled(
    run: Callable[[Image], Image], read: Callable[[int, int, Shape], Image], size: Shape, out: Image, tile: Shape
) -> None:
    """Fill `out` uint8 [h, w, C] with what `run` makes of the picture that `read(top, left, shape)` shows.

    `run` takes and gives uint8 [tile, 3]; `size` is the picture as the network would see it whole, `out` its top
    left part; channels past the third are left alone.
    """
    height, width = out.shape[:2]
    for rows in spans(size[0], tile[0]):
        for columns in spans(size[1], tile[1]):
            stop, right = min(rows.stop, height), min(columns.stop, width)
            if stop <= rows.start or right <= columns.start:
                continue
            made = run(read(rows.origin, columns.origin, tile))
            out[rows.start : stop, columns.start : right, :3] = made[
                rows.start - rows.origin : stop - rows.origin, columns.start - columns.origin : right - columns.origin
            ]


def _tightened(length: int, tile: int) -> int:
    """The shortest tile that covers `length` in as many steps as `tile` does."""
    if tile >= length:
        return length
    rim = overlap()
    steps = math.ceil((length - 2 * rim) / (tile - 2 * rim))
    return min(tile, STRIDE * math.ceil(((length - 2 * rim) / steps + 2 * rim) / STRIDE))
