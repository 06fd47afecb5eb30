"""Photographs as each network would see them: what exports, half-precision checks and calibration run on.

Where a network takes maps of a face, the photograph is worn by the synthetic face model: no licensed file is needed,
and the values lie where real ones do.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn import find_faces, points68, points106, reconstruct, specs
from trtkit.models.hrn.coefficients import COUNT, Floats
from trtkit.models.hrn.geometry import uv_map
from trtkit.models.hrn.geometry.face_model import FaceModel
from trtkit.models.hrn.geometry.resize import bilinear
from trtkit.models.hrn.synthetic.files import face_model

Image = NDArray[np.uint8]


def sample_inputs(network: str, photographs: list[Image], _size: tuple[int, int] = (0, 0)) -> dict[str, np.ndarray]:
    """RGB uint8 photographs of any size → one batch of the network's only input; every network has a fixed size."""
    spec = next(spec for spec in specs.NETWORKS if spec.name == network)
    return {spec.inputs[0].name: np.stack([_input(network, photograph) for photograph in photographs])}


def _input(network: str, photograph: Image) -> np.ndarray:
    if network == specs.RETINAFACE.name:
        return find_faces.to_input(photograph)
    if network in (specs.MID_NET.name, specs.HIGH_NET.name, specs.DE_RETOUCH.name):
        return _maps(network, _middle(photograph, specs.TEXTURE))
    crop = _middle(photograph, specs.FACE)
    if network == specs.LANDMARKS.name:
        return points106.to_input(crop, points106.Square(0.0, 0.0, float(specs.FACE)))
    if network == specs.S3FD.name:
        return points68.detector_input(crop)
    if network == specs.FAN.name:
        return points68.fan_input(crop, points68.Window(specs.FACE / 2, specs.FACE / 2, float(specs.FACE)))
    return crop


def _middle(photograph: Image, side: int) -> Image:
    """The largest square in the middle, resized by area."""
    least = min(photograph.shape[:2])
    top, left = (photograph.shape[0] - least) // 2, (photograph.shape[1] - least) // 2
    square = photograph[top : top + least, left : left + least]
    return np.asarray(cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


@cache
def _wearer() -> tuple[FaceModel, uv_map.UvMap]:
    model = face_model()
    return model, uv_map.rasterize(model.uvs, model.uv_triangles)


def _maps(network: str, sharp: Image) -> Floats:
    model, uv = _wearer()
    masks = np.ones((1, specs.FACE, specs.FACE), np.float32)
    face = reconstruct.base(np.zeros((1, COUNT), np.float32), model, uv, sharp[None], masks)
    seen = face.texture * 2 - 1
    if network == specs.DE_RETOUCH.name:
        maps = bilinear(seen, (specs.TEXTURE, specs.TEXTURE))
    elif network == specs.MID_NET.name:
        maps = bilinear(np.concatenate([face.position, seen], axis=-1), (specs.MID, specs.MID))
    else:
        maps = np.concatenate([face.position, seen, np.zeros_like(face.position)], axis=-1)
    return np.ascontiguousarray(maps[0].transpose(2, 0, 1), np.float32)
