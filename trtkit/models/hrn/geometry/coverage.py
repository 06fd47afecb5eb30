"""Which pixels flat triangles cover: the one rasteriser of this folder, for the UV square and for pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trtkit.models.hrn.geometry.face_model import Ints


@dataclass(frozen=True)
class Coverage:
    """One entry for each pair of a triangle and a pixel whose centre lies in it, triangles ascending.

    `triangle` and `pixel` (row · width + column) int64 [P]; `shares` float64 [P, 3], the corners' shares of the centre.
    """

    triangle: Ints
    pixel: Ints
    shares: np.ndarray


def cover(corners: np.ndarray, height: int, width: int) -> Coverage:
    """Triangles float [F, 3, 2] (x, y; pixel centres at whole numbers) over a picture. Edges belong to a triangle;
    one without area, or with a corner that is not finite, covers nothing."""
    corners = np.nan_to_num(np.asarray(corners, np.float64), nan=-1e6, posinf=-1e6, neginf=-1e6)
    limit = np.array([width, height])
    low = np.clip(np.ceil(corners.min(axis=1) - 1e-9), 0, limit).astype(np.int64)
    high = np.clip(np.floor(corners.max(axis=1) + 1e-9) + 1, 0, limit).astype(np.int64)
    size = np.maximum(high - low, 0)
    count = size[:, 0] * size[:, 1]
    # One entry a pixel of each bounding box: a few hundred thousand for 70,000 small triangles.
    owner = np.repeat(np.arange(len(corners)), count)
    nth = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    x = low[owner, 0] + nth % np.maximum(size[owner, 0], 1)
    y = low[owner, 1] + nth // np.maximum(size[owner, 0], 1)
    shares = _shares(corners[owner], x, y)
    inside = np.isfinite(shares).all(axis=-1) & (shares >= -1e-9).all(axis=-1)
    return Coverage(owner[inside], (y * width + x)[inside], np.clip(shares[inside], 0, 1))


def _shares(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Barycentric coordinates [P, 3] of points in triangles [P, 3, 2]; not finite for a triangle without area."""
    (x0, y0), (x1, y1), (x2, y2) = (corners[:, k].T for k in range(3))
    with np.errstate(divide="ignore", invalid="ignore"):
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        second = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) / area
        third = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) / area
        return np.stack([1 - second - third, second, third], axis=-1)
