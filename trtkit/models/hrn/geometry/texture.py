"""The texture: for every UV pixel, the colour of the picture where that point of the face is seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry.pose import project
from trtkit.models.hrn.geometry.uv_map import UvMap, world_to_uv


def texture_map(camera: Floats, images: Floats, uv: UvMap) -> Floats:
    """Vertices [N, V, 3] in camera space, images [N, h, w, C] of the aligned face → [N, H, W, C], hidden parts too."""
    height, width = images.shape[1:3]
    points = project(world_to_uv(camera, uv), (height, width))
    points[..., 1] = height - 1 - points[..., 1]
    return sample(images, points)


def sample(images: Floats, points: Floats) -> Floats:
    """Images [N, h, w, C] at `points` [N, ..., 2] (x, y downward) → [N, ..., C]; indices beyond the rim repeat it.

    As the official code has it, the two rows' weights are swapped (the row at floor(y) counts frac(y), the one below
    1 − frac(y)); the networks behind were trained on textures sampled so. Columns are weighted as usual.
    """
    height, width = images.shape[1:3]
    floor = np.floor(points)
    right, down = (points - floor)[..., 0, None], (points - floor)[..., 1, None]
    x, y = floor[..., 0].astype(np.int64), floor[..., 1].astype(np.int64)
    batch = np.arange(len(images)).reshape(-1, *(1,) * (x.ndim - 1))

    def tap(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Floats:
        taken: Floats = images[batch, np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
        return taken

    upper = tap(y, x) * (1 - right) + tap(y, x + 1) * right
    lower = tap(y + 1, x) * (1 - right) + tap(y + 1, x + 1) * right
    return np.asarray(upper * down + lower * (1 - down), np.float32)
