"""A textured mesh as a picture, drawn with a depth buffer: for previews, and for faces whose coefficients are known."""

from __future__ import annotations

import numpy as np

from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry.coverage import cover
from trtkit.models.hrn.geometry.face_model import Ints
from trtkit.models.hrn.geometry.pose import project


def draw(camera: Floats, triangles: Ints, uvs: Floats, texture: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """(colours [h, w, C], depth [h, w], infinite where the mesh is not) of one mesh in camera space [V, 3].

    `texture` [H, W, C], first row at v = 1. The frame's 224 units fill `size` (height, width) along each axis.
    """
    height, width = size
    points = project(camera, (height, width)).astype(np.float64)
    points[:, 1] = height - 1 - points[:, 1]
    # Behind the camera a projection comes out in front of it again.
    seen = (camera[:, 2] > 0)[triangles].all(axis=1)
    triangles = triangles[seen]
    covered = cover(points[triangles], height, width)
    corners = triangles[covered.triangle]
    # Straight lines in space are straight in the picture, equal steps are not: shares count by 1 / depth.
    nearness = covered.shares / camera[corners, 2]
    total = nearness.sum(axis=1)
    order = np.lexsort((1 / total, covered.pixel))
    pixel, first = np.unique(covered.pixel[order], return_index=True)
    front = order[first]
    at = (uvs[corners[front]] * (nearness[front] / total[front, None])[..., None]).sum(axis=1)
    colours = np.zeros((height * width, texture.shape[-1]), np.float32)
    depth = np.full(height * width, np.inf, np.float32)
    colours[pixel], depth[pixel] = _lookup(texture, at), 1 / total[front]
    return colours.reshape(height, width, -1), depth.reshape(height, width)


def _lookup(texture: Floats, uvs: np.ndarray) -> Floats:
    """Bilinear colours [P, C] at `uvs` [P, 2], v upward."""
    height, width = texture.shape[:2]
    x = np.clip(uvs[:, 0] * width - 0.5, 0, width - 1)
    y = np.clip((1 - uvs[:, 1]) * height - 0.5, 0, height - 1)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[:, None], (y - top)[:, None]
    upper = texture[top, left] * (1 - across) + texture[top, right] * across
    lower = texture[below, left] * (1 - across) + texture[below, right] * across
    return np.asarray(upper * (1 - down) + lower * down, np.float32)
