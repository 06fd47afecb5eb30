"""A head-like surface over the UV square, its landmarks, and smooth ways in which it varies."""

from __future__ import annotations

import numpy as np

from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry.face_model import Ints

COLUMNS, ROWS = 57, 65
_SPAN_X, _SPAN_Y = 1.25, 1.15
"""Radians of the ellipsoid to either side, and up and down."""
_RADII = (0.82, 1.08, 0.95)
"""Decimetres: a face is about 16 cm wide and 20 cm high."""


def uvs() -> Floats:
    """[V, 2], a grid a little inside the square, rows from the top."""
    v, u = np.meshgrid(np.linspace(0.98, 0.02, ROWS), np.linspace(0.02, 0.98, COLUMNS), indexing="ij")
    return np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float32)


def triangles() -> Ints:
    """[F, 3], anticlockwise for who faces the face."""
    row, column = np.meshgrid(np.arange(ROWS - 1), np.arange(COLUMNS - 1), indexing="ij")
    a = (row * COLUMNS + column).reshape(-1)
    upper = np.stack([a, a + COLUMNS, a + 1], axis=1)
    lower = np.stack([a + 1, a + COLUMNS, a + COLUMNS + 1], axis=1)
    return np.stack([upper, lower], axis=1).reshape(-1, 3)


def around(faces: Ints, vertices: int) -> Ints:
    """[V, 8]: the triangles at each vertex, F where there are fewer."""
    found = np.full((vertices, 8), len(faces))
    owner = np.repeat(np.arange(len(faces)), 3)
    vertex = faces.reshape(-1)
    order = np.argsort(vertex, kind="stable")
    start = np.searchsorted(vertex[order], np.arange(vertices))
    found[vertex[order], np.arange(len(order)) - start[vertex[order]]] = owner[order]
    return found


def surface(points: Floats) -> Floats:
    """UVs [K, 2] → [K, 3]: an ellipsoid with a nose, a brow, sockets, lips and a chin."""
    u, v = points[:, 0] * 2 - 1, points[:, 1] * 2 - 1
    east, north = u * _SPAN_X, v * _SPAN_Y
    x = _RADII[0] * np.sin(east) * (0.55 + 0.45 * np.cos(north)) * (1 - 0.10 * np.clip(-v, 0, 1) ** 2)
    y = _RADII[1] * np.sin(north)
    z = _RADII[2] * np.cos(east) * np.cos(0.75 * north)
    z = z + 0.30 * _bump(u, v, 0.0, -0.06, 0.10, 0.10) + 0.17 * _bump(u, v, 0.0, 0.12, 0.07, 0.18)
    z = z + 0.07 * _bump(u, v, 0.0, 0.40, 0.42, 0.09)
    z = z - 0.13 * (_bump(u, v, -0.31, 0.25, 0.13, 0.09) + _bump(u, v, 0.31, 0.25, 0.13, 0.09))
    z = z + 0.09 * _bump(u, v, 0.0, -0.36, 0.20, 0.07) - 0.04 * _bump(u, v, 0.0, -0.37, 0.22, 0.02)
    z = z + 0.09 * _bump(u, v, 0.0, -0.72, 0.20, 0.13)
    return np.stack([x, y, z], axis=1).astype(np.float32)


def _bump(u: Floats, v: Floats, u0: float, v0: float, width: float, height: float) -> Floats:
    return np.asarray(np.exp(-0.5 * (((u - u0) / width) ** 2 + ((v - v0) / height) ** 2)), np.float32)


def landmark_uvs() -> Floats:
    """[68, 2] in the usual order: jaw, brows, nose, eyes, lips; left is the picture's left."""

    def arc(points: int, centre: tuple[float, float], radii: tuple[float, float], start: float, end: float) -> Floats:
        angles = np.linspace(start, end, points) * np.pi
        return np.stack([centre[0] + radii[0] * np.cos(angles), centre[1] + radii[1] * np.sin(angles)], axis=1).astype(
            np.float32
        )

    def eye(u: float) -> Floats:
        across = u + np.array([-0.14, -0.06, 0.06, 0.14, 0.06, -0.06])
        return np.stack([across, 0.25 + np.array([0, 0.05, 0.05, 0, -0.05, -0.05])], axis=1).astype(np.float32)

    jaw = arc(17, (0.0, 0.15), (0.92, 1.0), 1.0, 2.0)
    brows = [np.stack([np.linspace(a, b, 5), 0.42 + 0.05 * np.array(h)], axis=1) for a, b, h in _BROWS]
    bridge = np.stack([np.zeros(4), np.linspace(0.25, -0.05, 4)], axis=1)
    nostrils = np.stack([np.linspace(-0.14, 0.14, 5), -0.15 - 0.03 * np.array([0, 0.7, 1, 0.7, 0])], axis=1)
    eyes = [eye(u) for u in (-0.31, 0.31)]
    outer = np.concatenate(
        [arc(7, (0.0, -0.37), (0.27, 0.09), 1.0, 0.0), arc(7, (0.0, -0.37), (0.27, 0.10), 2.0, 1.0)[1:-1]]
    )
    inner = np.concatenate(
        [arc(5, (0.0, -0.37), (0.20, 0.03), 1.0, 0.0), arc(5, (0.0, -0.37), (0.20, 0.03), 2.0, 1.0)[1:-1]]
    )
    signed = np.concatenate([jaw, *brows, bridge, nostrils, *eyes, outer, inner])
    return ((signed + 1) / 2).astype(np.float32)


_BROWS = ((-0.52, -0.12, (0.0, 0.8, 1.0, 0.8, 0.4)), (0.12, 0.52, (0.4, 0.8, 1.0, 0.8, 0.0)))


def nearest(points: Floats) -> Ints:
    """UVs [K, 2] → the vertices closest to them, [K]."""
    gaps = points[:, None] - uvs()[None]
    return np.asarray((gaps * gaps).sum(axis=-1).argmin(axis=1), np.int64)


def bases(seed: int = 0) -> tuple[Floats, Floats]:
    """Identity [3V, 80] and expression [3V, 64], decimetres for a coefficient of 1.

    Low waves over the whole face, and lower still around mouth, eyes and brow; each weaker than the one before, so
    that a few numbers carry nearly all that varies.
    """
    rng = np.random.default_rng(seed)
    points = uvs() * 2 - 1
    whole = np.ones(len(points))
    parts = [
        _bump(points[:, 0], points[:, 1], u, v, w, h)
        for u, v, w, h in ((0, -0.4, 0.3, 0.22), (-0.31, 0.25, 0.16, 0.1), (0.31, 0.25, 0.16, 0.1), (0, 0.42, 0.5, 0.1))
    ]
    identity = [0.045 * 0.72**k * _wave(points, rng, 1.6) * whole[:, None] for k in range(80)]
    expression = [0.05 * 0.8**k * _wave(points, rng, 1.0) * parts[k % 4][:, None] for k in range(64)]
    return (
        np.stack([field.reshape(-1) for field in identity], axis=1).astype(np.float32),
        np.stack([field.reshape(-1) for field in expression], axis=1).astype(np.float32),
    )


def _wave(points: Floats, rng: np.random.Generator, most: float) -> Floats:
    """A smooth field [V, 3]: a cosine along a random direction, moving vertices along another."""
    direction = rng.normal(size=3)
    along = points @ rng.uniform(-most, most, 2) + rng.uniform(0, 2 * np.pi)
    return np.asarray(np.cos(along)[:, None] * direction / np.linalg.norm(direction), np.float32)
