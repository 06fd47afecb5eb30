"""A mesh from several sides on one sheet, so that a person sees the face without other software."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry import pose
from trtkit.models.hrn.geometry.draw import draw
from trtkit.models.hrn.output.mesh import Mesh

YAWS = (-0.8, -0.4, 0.0, 0.4, 0.8)
"""Radians, left to right."""
_BACKGROUND = 0.95
_LIGHT = (0.35, 0.45, 0.82)


def contact_sheet(mesh: Mesh, side: int = 256) -> NDArray[np.uint8]:
    """uint8 [2·side, 5·side, 3] RGB: the face in its texture above, in grey under a lamp below."""
    middle = (mesh.vertices.max(axis=0) + mesh.vertices.min(axis=0)) / 2
    vertices = mesh.vertices - middle
    reach = float(np.linalg.norm(vertices, axis=1).max())
    vertices = vertices * (0.95 * _frame() / reach)
    rows = [np.concatenate([view(mesh, vertices, yaw, side, grey) for yaw in YAWS], axis=1) for grey in (False, True)]
    return np.asarray(np.concatenate(rows) * 255 + 0.5, np.uint8)


def _frame() -> float:
    """Decimetres from the middle to the frame's edge, at the nearest point of a sphere that fills it."""
    return (pose.DISTANCE - 1.0) * pose.CENTRE / pose.FOCAL


def view(mesh: Mesh, vertices: Floats, yaw: float, side: int, grey: bool) -> Floats:
    """[side, side, 3] in 0..1: `vertices` [V, 3] around the origin, turned about the vertical axis."""
    turn = pose.rotation(np.array([[0, yaw, 0]], np.float32))[0]
    camera = pose.flip_depth(vertices @ turn)
    texture = np.asarray(mesh.texture / np.float32(255), np.float32)
    if grey:
        lit = np.clip(mesh.normals @ turn @ np.array(_LIGHT, np.float32), 0, 1)
        shades = np.asarray(0.15 + 0.75 * lit, np.float32)
        colours, depth = draw_shades(camera, mesh, shades, side)
    else:
        colours, depth = draw(camera, mesh.triangles, mesh.uvs, texture, (side, side))
    return np.where(np.isfinite(depth)[..., None], colours, _BACKGROUND).astype(np.float32)


def draw_shades(camera: Floats, mesh: Mesh, shades: Floats, side: int) -> tuple[Floats, Floats]:
    """One grey a vertex [V] → ([side, side, 3], depth): a ramp as texture, looked up at the shade itself."""
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None, :, None] * np.ones((2, 1, 3), np.float32)
    at = np.stack([shades, np.full_like(shades, 0.5)], axis=1)
    return draw(camera, mesh.triangles, at, ramp, (side, side))
