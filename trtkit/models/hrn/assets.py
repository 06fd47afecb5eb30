"""The face model's files, read from a snapshot or from a folder of synthetic ones.

The official ones hold the Basel Face Model 2009, which its makers license for research to each user; trtkit ships
none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trtkit.errors import MissingComponent, Mistake
from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry.align import BoxRegressor, five_of_68
from trtkit.models.hrn.geometry.face_model import FaceModel, Ints
from trtkit.models.hrn.synthetic.files import MARK, box_regressor, face_model
from trtkit.optional import need

FILES = (
    "BFM_model_front.mat",
    "bfm_uvs2.npy",
    "bfm_tex_mean2.npy",
    "bfm_texmap_base2.npy",
    "template_bfm.obj",
    "similarity_Lm3D_all.mat",
    "BBRegressorParam_r.mat",
)
SOURCE = "iic/cv_resnet50_face-reconstruction, revision v2.0.0-HRN"
_READING = "reading a face model's .mat files"


@dataclass(frozen=True)
class Assets:
    """`standard`: float32 [5, 3], the five points of the standard face that crops are aligned to."""

    model: FaceModel
    standard: Floats
    box: BoxRegressor


def wanted_words(names: Sequence[str] = FILES) -> str:
    """The files, where they come from and under what terms, for people."""
    return (
        f"{', '.join(names)}; these files of {SOURCE} on modelscope.cn hold the Basel Face Model 2009 (for research, "
        "under its own licence from the University of Basel) and are not part of trtkit"
    )


def synthetic() -> Assets:
    """The made-up face model that the networks in the package belong to."""
    model = face_model()
    lines = model.mean.reshape(-1, 3)[model.landmarks]
    return Assets(model, five_of_68(lines).astype(np.float32), box_regressor())


def load(folder: Path, option: str = "--assets DIR") -> Assets:
    """Read `folder`, or `folder`/assets. Raises MissingComponent naming each missing file, Mistake naming a bad one;
    `option` is how another folder is named."""
    standard, regressor = alignment(folder, option)
    return Assets(_model(need("scipy.io", _READING), _place(folder, option)), standard, regressor)


def alignment(folder: Path, option: str = "--assets DIR") -> tuple[Floats, BoxRegressor]:
    """What faces are aligned by, read in no time: the standard face [5, 3] and the box. Raises as `load` does."""
    matlab, place = need("scipy.io", _READING), _place(folder, option)
    lines = _mat(matlab, place / "similarity_Lm3D_all.mat", lm=(68, 3))
    params = _mat(matlab, place / "BBRegressorParam_r.mat", W1=(None, 10), B1=(None, 1), W2=(3, None), B2=(3, 1))
    return five_of_68(lines["lm"]).astype(np.float32), BoxRegressor.of(params)


def _place(folder: Path, option: str) -> Path:
    place = folder / "assets" if (folder / "assets").is_dir() else folder
    missing = [name for name in FILES if not (place / name).is_file()]
    if missing:
        raise MissingComponent(
            f"{place} does not hold {wanted_words(missing)}; get them with trtkit pull hrn, or name the folder that "
            f"has them with {option}"
        )
    return place


def _model(matlab: Any, place: Path) -> FaceModel:
    wanted = {"meanshape": (1, None), "idBase": (None, 80), "exBase": (None, 64), "tri": (None, 3)}
    held = _mat(matlab, place / "BFM_model_front.mat", **wanted, point_buf=(None, 8), keypoints=None)
    uvs = _array(place / "bfm_uvs2.npy").reshape(-1, 2)
    mean = held["meanshape"].reshape(-1, 3).astype(np.float32)
    if len(mean) != len(uvs):
        raise Mistake(f"{place / 'bfm_uvs2.npy'} has {len(uvs)} vertices, BFM_model_front.mat has {len(mean)}")
    albedo_mean = _array(place / "bfm_tex_mean2.npy").reshape(-1)
    albedo = _array(place / "bfm_texmap_base2.npy", mapped=True)
    if albedo.size != albedo_mean.size * 80:
        raise Mistake(f"{place / 'bfm_texmap_base2.npy'} has {albedo.size} values, not 80 for each of the mean's")
    return FaceModel(
        mean=(mean - mean.mean(axis=0)).reshape(-1),
        identity=held["idBase"].astype(np.float32),
        expression=held["exBase"].astype(np.float32),
        triangles=_indices(held["tri"]),
        around=_indices(held["point_buf"]),
        landmarks=_indices(held["keypoints"]).reshape(-1),
        uvs=uvs,
        uv_triangles=_faces(place / "template_bfm.obj", len(uvs)),
        albedo_mean=albedo_mean,
        albedo=albedo.reshape(-1, 80),
        synthetic=(place / MARK).is_file(),
    )


def _indices(array: np.ndarray) -> Ints:
    """The files count from 1."""
    return array.astype(np.int64) - 1


def _mat(matlab: Any, path: Path, **shapes: tuple[int | None, ...] | None) -> dict[str, np.ndarray]:
    """The named arrays of a .mat file, their shapes checked (None: any size, or any shape)."""
    try:
        held = matlab.loadmat(path, variable_names=list(shapes))
    except Exception as error:
        # scipy raises whatever a damaged byte leads to.
        raise Mistake(f"{path} is not a readable .mat file ({type(error).__name__}); download it again") from error
    for name, shape in shapes.items():
        if name not in held:
            raise Mistake(f"{path} holds no array '{name}'; right would be the file of {SOURCE}")
        found = held[name].shape
        if shape and (len(found) != len(shape) or any(s not in (None, f) for s, f in zip(shape, found, strict=True))):
            raise Mistake(f"{path}: array '{name}' is {list(found)}; right would be the file of {SOURCE}")
    return {name: held[name] for name in shapes}


def _array(path: Path, mapped: bool = False) -> Floats:
    """`mapped`: left on the disk until it is read, if it is float32 there. The official albedo basis is 252 MB, and
    most outputs do without."""
    try:
        return np.asanyarray(np.load(path, mmap_mode="r" if mapped else None), np.float32)
    except (OSError, ValueError, EOFError) as error:
        raise Mistake(f"{path} is not a readable .npy file ({type(error).__name__}); download it again") from error


def _faces(path: Path, vertices: int) -> Ints:
    """The texture corners of the faces of an OBJ file, [F, 3]: vertex numbers where it has no texture corners.

    The UV file's rows stand for vertices, in the same order.
    """
    faces = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("f "):
            corners = [corner.split("/")[0] for corner in line.split()[1:4]]
            if len(corners) < 3 or not all(corner.isascii() and corner.isdigit() for corner in corners):
                raise Mistake(f"{path} has a face '{line[:40]}' that is no three vertex numbers; download it again")
            faces.append([int(corner) for corner in corners])
    found = np.array(faces, np.int64).reshape(-1, 3) - 1
    if not len(found) or found.min() < 0 or found.max() >= vertices:
        raise Mistake(f"{path} has no faces over the {vertices} vertices of bfm_uvs2.npy; download it again")
    return found
