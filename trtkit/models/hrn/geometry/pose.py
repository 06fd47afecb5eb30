"""Where a face stands before the camera, and where that falls in the 224 × 224 frame."""

from __future__ import annotations

import numpy as np

from trtkit.models.hrn.coefficients import Floats

DISTANCE = 10.0
"""Of the camera from the origin, decimetres."""
FOCAL, CENTRE = 1015.0, 112.0
"""Of the pinhole camera, pixels of the 224 frame."""


def rotation(angles: Floats) -> Floats:
    """Angles [N, 3] about x, y, z in radians → [N, 3, 3], to multiply rows of vertices from the right.

    The transpose of Rz·Ry·Rx.
    """
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles).T, np.cos(angles).T
    zero, one = np.zeros_like(sx), np.ones_like(sx)

    def matrices(*entries: Floats) -> Floats:
        return np.stack(entries, axis=-1).reshape(-1, 3, 3)

    about_x = matrices(one, zero, zero, zero, cx, -sx, zero, sx, cx)
    about_y = matrices(cy, zero, sy, zero, one, zero, -sy, zero, cy)
    about_z = matrices(cz, -sz, zero, sz, cz, zero, zero, zero, one)
    return (about_z @ about_y @ about_x).transpose(0, 2, 1).astype(np.float32)


def place(vertices: Floats, turn: Floats, offset: Floats) -> Floats:
    """Vertices [N, V, 3] turned by [N, 3, 3] and moved by [N, 3]: the world."""
    return vertices @ turn + offset[:, None]


def flip_depth(vertices: Floats) -> Floats:
    """World → camera space and back: z becomes DISTANCE − z. [..., 3], a copy."""
    flipped = vertices.copy()
    flipped[..., 2] = DISTANCE - flipped[..., 2]
    return flipped


def project(camera: Floats, frame: tuple[float, float] = (224.0, 224.0)) -> Floats:
    """Camera space [..., 3] → x to the right and y **upward** in a (height, width) `frame`, [..., 2].

    A point in the camera's own plane (z = 0) gives 0: that is where UV pixels without a triangle end up.
    """
    height, width = frame
    depth = camera[..., 2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = (FOCAL * camera[..., :2] + CENTRE * depth) / depth
    flat = flat * np.array([width / 224.0, height / 224.0], np.float32)
    return np.where(np.isfinite(flat), flat, 0.0).astype(np.float32)
