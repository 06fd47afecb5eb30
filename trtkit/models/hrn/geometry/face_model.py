"""The bilinear face model (Blanz & Vetter 1999; Basel Face Model 2009 with FaceWarehouse's expressions)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn.coefficients import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class FaceModel:
    """The data behind a face of V vertices and F triangles; every index counts from 0.

    `mean` float32 [3V] with its centroid at the origin, in units of a decimetre; `identity` [3V, 80] and `expression`
    [3V, 64] bases; `triangles` [F, 3] into the vertices; `around` [V, 8], the triangles around each vertex, F where
    there are fewer; `landmarks` [68] vertices; `uvs` float32 [V, 2] in 0..1 with v upward; `uv_triangles` [F', 3], the
    triangles that cover the UV square; `albedo_mean` [S·S·3] in 0..255 and `albedo` [S·S·3, 80], S being 512 in the
    official files. `synthetic`: made by trtkit, not measured on people.
    """

    mean: Floats
    identity: Floats
    expression: Floats
    triangles: Ints
    around: Ints
    landmarks: Ints
    uvs: Floats
    uv_triangles: Ints
    albedo_mean: Floats
    albedo: Floats
    synthetic: bool = False


def shape(model: FaceModel, identity: Floats, expression: Floats) -> Floats:
    """[N, 80] and [N, 64] → vertices [N, V, 3] before pose: x to the picture's right, y up, z toward the viewer."""
    flat = model.mean + identity @ model.identity.T + expression @ model.expression.T
    return np.asarray(flat.reshape(len(identity), -1, 3), np.float32)


def albedo_map(model: FaceModel, coefficients: Floats) -> Floats:
    """[N, 80] → RGB [N, S, S, 3], about 0..1, the first row at v = 1."""
    flat = (model.albedo_mean + coefficients @ model.albedo.T) / 255.0
    side = round((model.albedo_mean.size / 3) ** 0.5)
    return np.asarray(flat.reshape(-1, side, side, 3), np.float32)
