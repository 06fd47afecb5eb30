"""net_recon by itself: the crops it sees of a picture, and how far apart two faces are that it gives for one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from trtkit.errors import Mistake
from trtkit.models.hrn import assets, specs
from trtkit.models.hrn.aligned import align
from trtkit.models.hrn.assets import Assets
from trtkit.models.hrn.coefficients import Floats, split
from trtkit.models.hrn.geometry import face_model, pose, uv_map
from trtkit.models.hrn.geometry.align import box_of, cut, frame_of
from trtkit.models.hrn.geometry.face_model import FaceModel
from trtkit.models.hrn.networks_run import Networks
from trtkit.models.hrn.opening import find_assets, find_folder
from trtkit.models.hrn.options import Options
from trtkit.models.hrn.output import mesh as meshes
from trtkit.models.hrn.output.turntable import view
from trtkit.models.hrn.synthetic import files, portrait
from trtkit.models.imaging.decode import Picture
from trtkit.models.pipeline import StageClock
from trtkit.models.spec import Around
from trtkit.runtime.backend import Backend

Image = NDArray[np.uint8]
Answer = Mapping[str, np.ndarray]

_FOLDER = "--weights DIR"
"""By which the face model is named where there is no --assets."""


class FaceStudy:
    """models.studied.Study of net_recon."""

    def __init__(self, networks: Networks, held: Assets) -> None:
        self._networks = networks
        self._assets = held

    def inputs(self, rgb: Image) -> dict[str, np.ndarray] | None:
        """The crop of the surest face, as the pipeline makes it."""
        picture = Picture(rgb, None, (rgb.shape[0], rgb.shape[1]), Path("picture"))
        try:
            found = align(self._networks, self._assets.box, self._assets.standard, picture, False, StageClock())
        except Mistake:
            return None
        return {specs.RECON.inputs[0].name: found.small}

    def apart(self, reference: Answer, found: Answer) -> float:
        """Mean distance of the vertices in per cent of the face's width."""
        return float(apart(self._assets.model, _vector(reference), _vector(found))[0])

    def picture(self, answer: Answer) -> Image:
        """The face in grey under a lamp, before light grey, where the crop shows it."""
        _, world = placed(self._assets.model, _vector(answer))
        mesh = meshes.of(world[0], np.zeros((1, 1, 3), np.float32), self._assets.model)
        return meshes.to_pixels(view(mesh, mesh.vertices, 0.0, specs.FACE, grey=True))


def _vector(answer: Answer) -> Floats:
    return np.asarray(answer[specs.RECON.outputs[0].name], np.float32)


def placed(model: FaceModel, vector: Floats) -> tuple[Floats, Floats]:
    """Coefficients [N, 257] → vertices [N, V, 3] before pose, and in the world as a mesh is written."""
    parts = split(vector)
    shape = face_model.shape(model, parts.identity, parts.expression)
    return shape, pose.place(shape, pose.rotation(parts.angles), parts.place)


def apart(model: FaceModel, reference: Floats, found: Floats) -> Floats:
    """Mean distance of the vertices that two coefficients [N, 257] make, turned and placed, in per cent of the
    reference's width before it is turned, [N]."""
    shape, wanted = placed(model, reference)
    _, world = placed(model, found)
    gap = np.linalg.norm(world - wanted, axis=-1).mean(axis=1)
    return np.asarray(100 * gap / np.ptp(shape[..., 0], axis=1), np.float32)


def open_study(networks: Mapping[str, Backend], around: Around) -> FaceStudy:
    """Raises MissingComponent naming the face model's files where they are missing."""
    return FaceStudy(Networks(networks), find_assets(Options(), around, _FOLDER))


def fingerprint(around: Around) -> bytes:
    """The standard face, the box around five points, and what aligning a test card by them gives."""
    folder = find_folder(Options(), around, _FOLDER)
    if folder is None:
        held = assets.synthetic()
        standard, regressor = held.standard, held.box
    else:
        standard, regressor = assets.alignment(folder, _FOLDER)
    y, x = np.mgrid[0:300, 0:260]
    card = np.stack([x * 37 % 256, y * 59 % 256, (x * y) // 7 % 256], axis=-1).astype(np.uint8)
    five = np.array([[90, 120], [160, 118], [126, 160], [98, 196], [155, 194]], np.float32)
    crop = cut(card, frame_of(five, standard, (300, 260), specs.FACE))
    return b"".join([standard.tobytes(), repr(box_of(five, regressor)).encode(), crop.tobytes()])


@cache
def _synthetic() -> tuple[FaceModel, uv_map.UvMap]:
    model = files.face_model()
    return model, uv_map.rasterize(model.uvs, model.uv_triangles)


def draw(dice: Generator, picture: Image) -> Image:
    """`picture` with a face of the synthetic model somewhere in it, its frame a third to two thirds of the picture's
    shorter side: what the RetinaFace in the package finds."""
    model, uv = _synthetic()
    least = min(picture.shape[:2])
    side = int(dice.integers(least // 3, 2 * least // 3))
    top, left = (int(dice.integers(0, size - side + 1)) for size in picture.shape[:2])
    drawn = picture.copy()
    behind = np.ascontiguousarray(picture[top : top + side, left : left + side])
    drawn[top : top + side, left : left + side] = portrait.picture(model, uv, portrait.random_face(dice), side, behind)[
        0
    ]
    return drawn
