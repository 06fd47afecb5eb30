"""Bilinear resizing of maps, pixel centres half a pixel in, no smoothing when they shrink."""

from __future__ import annotations

import numpy as np

from trtkit.models.hrn.coefficients import Floats


def bilinear(maps: Floats, size: tuple[int, int]) -> Floats:
    """[N, H, W, C] → [N, h, w, C]."""
    return _along(_along(maps, 1, size[0]), 2, size[1])


def _along(maps: Floats, axis: int, size: int) -> Floats:
    before = maps.shape[axis]
    if before == size:
        return maps
    centre = np.clip((np.arange(size) + 0.5) * before / size - 0.5, 0, before - 1)
    low = np.floor(centre).astype(np.int64)
    high = np.minimum(low + 1, before - 1)
    share = (centre - low).astype(np.float32).reshape([-1 if k == axis else 1 for k in range(maps.ndim)])
    return np.asarray(maps.take(low, axis) * (1 - share) + maps.take(high, axis) * share, np.float32)
