"""A textured mesh as every writer takes it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry import normals
from trtkit.models.hrn.geometry.face_model import FaceModel, Ints


@dataclass(frozen=True)
class Mesh:
    """`vertices` float32 [V, 3] in decimetres, posed as in the picture (x right, y up, z toward the viewer), `normals`
    [V, 3], `uvs` [V, 2] in 0..1, v upward, `triangles` [F, 3] from 0, anticlockwise from outside; `texture` uint8
    [H, W, 3] RGB, first row at v = 1."""

    vertices: Floats
    normals: Floats
    uvs: Floats
    triangles: Ints
    texture: NDArray[np.uint8]
    synthetic: bool


def of(world: Floats, texture: Floats, model: FaceModel) -> Mesh:
    """One face: vertices [V, 3] and a texture [H, W, 3], RGB in 0..1, on its model."""
    return Mesh(
        vertices=world,
        normals=normals.of_vertices(world[None], model)[0],
        uvs=model.uvs,
        triangles=model.triangles,
        texture=to_pixels(texture),
        synthetic=model.synthetic,
    )


def to_pixels(colours: Floats) -> NDArray[np.uint8]:
    """0..1 → 0..255, rounded; what lies beyond is clipped."""
    return np.asarray(np.clip(colours, 0, 1) * 255 + 0.5, np.uint8)
