"""Pictures of made-up faces whose coefficients are known, lit and posed as the official code would see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn.coefficients import Coefficients, Floats, split
from trtkit.models.hrn.geometry import face_model, light, normals, pose
from trtkit.models.hrn.geometry.draw import draw
from trtkit.models.hrn.geometry.face_model import FaceModel
from trtkit.models.hrn.geometry.resize import bilinear
from trtkit.models.hrn.geometry.uv_map import UvMap, world_to_uv


def random_face(rng: np.random.Generator) -> Coefficients:
    """A face [1] near the middle of the frame, turned by some twenty degrees at most."""
    groups = (
        rng.normal(0, 1, (1, 80 + 64 + 80)),
        np.clip(rng.normal(0, 0.15, (1, 3)), -0.35, 0.35),
        (rng.normal(0, 0.05, (1, 1, 9)) + rng.normal(0, 0.02, (1, 3, 9))).reshape(1, 27),
        rng.normal(0, (0.03, 0.03, 0.15), (1, 3)),
    )
    return split(np.concatenate(groups, axis=1).astype(np.float32))


def picture(
    model: FaceModel, uv: UvMap, face: Coefficients, side: int, background: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.uint8], Floats, Floats]:
    """(RGB uint8 [side, side, 3], landmarks [68, 2] in its pixels, y downward, vertices [V, 3] in the world).

    `background` uint8 [side, side, 3], mid grey without one.
    """
    shape = face_model.shape(model, face.identity, face.expression)
    turn = pose.rotation(face.angles)
    world = pose.place(shape, turn, face.place)
    camera = pose.flip_depth(world)
    facing = world_to_uv(normals.of_vertices(shape, model) @ turn, uv)
    albedo = bilinear(face_model.albedo_map(model, face.albedo), (uv.weights.shape[0], uv.weights.shape[1]))
    colours, depth = draw(
        camera[0], model.triangles, model.uvs, light.shade(albedo, facing, face.light)[0], (side, side)
    )
    behind = np.full((side, side, 3), 128, np.uint8) if background is None else background
    drawn = np.where(np.isfinite(depth)[..., None], np.clip(colours * 255 + 0.5, 0, 255).astype(np.uint8), behind)
    points = pose.project(camera[:, model.landmarks], (side, side))[0]
    points[:, 1] = side - 1 - points[:, 1]
    return drawn, points, world[0]
