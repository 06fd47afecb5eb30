"""Normals: of triangles, of vertices, and of the dense grid that a UV picture of positions is."""

from __future__ import annotations

import numpy as np

from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry.face_model import FaceModel, Ints

MARGIN_X, MARGIN_Y = 2, 5
"""Columns and rows at the rim of the UV picture that carry no grid triangles."""


def normalized(vectors: Floats, floor: float = 1e-12) -> Floats:
    """[..., 3] of length 1; what is shorter than `floor` is divided by `floor`."""
    length = np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    return np.asarray(vectors / np.maximum(length, floor), np.float32)


def of_triangles(vertices: Floats, triangles: Ints) -> Floats:
    """Vertices [N, V, 3], triangles [F, 3] → unit normals [N, F, 3], toward whom the corners run anticlockwise."""
    first, second, third = (vertices[:, triangles[:, corner]] for corner in range(3))
    return normalized(np.cross(first - second, second - third))


def of_vertices(vertices: Floats, model: FaceModel) -> Floats:
    """[N, V, 3] → unit normals [N, V, 3]: the sum of the unit normals of the triangles around, whatever their size."""
    faces = of_triangles(vertices, model.triangles)
    nothing = np.zeros((len(faces), 1, 3), np.float32)
    return normalized(np.concatenate([faces, nothing], axis=1)[:, model.around].sum(axis=2))


def of_grid(positions: Floats) -> Floats:
    """UV pictures of positions [N, H, W, 3] → unit normals of the same shape, 0 at the rim.

    Each square of four pixels a b / c d is the triangles a c b and b c d; a pixel's normal sums the cross products
    of the triangles it is a corner of. Twelve shifted additions stand where a mesh would scatter 130,000 triangles.
    """
    quads = positions[:, MARGIN_Y : -MARGIN_Y or None, MARGIN_X : -MARGIN_X or None]
    a, b = quads[:, :-1, :-1], quads[:, :-1, 1:]
    c, d = quads[:, 1:, :-1], quads[:, 1:, 1:]
    upper, lower = np.cross(c - a, b - a), np.cross(c - b, d - b)
    both = upper + lower
    total = np.zeros_like(positions)
    inside = total[:, MARGIN_Y : -MARGIN_Y or None, MARGIN_X : -MARGIN_X or None]
    inside[:, :-1, :-1] += upper
    inside[:, :-1, 1:] += both
    inside[:, 1:, :-1] += both
    inside[:, 1:, 1:] += lower
    return normalized(total, 1e-6)


def detailed(positions: Floats, smooth: Floats, displacement: Floats) -> Floats:
    """Normals after every UV pixel has moved along its normal, [N, H, W, 3].

    `positions` and `smooth` normals [N, H, W, 3] in the world, `displacement` [N, H, W]. What the grid's own normals
    differ from the smooth ones before the move (it is coarser, and has a rim) is added back after it. Not unit length.
    """
    mirror = np.array([-1, -1, 1], np.float32)
    before = of_grid(positions) * mirror
    after = of_grid(positions + displacement[..., None] * smooth) * mirror
    return after + (smooth - before)
