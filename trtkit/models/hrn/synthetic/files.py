"""The synthetic face model as the official snapshot's files, and as the object the pipeline uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trtkit.files import write_whole
from trtkit.models.hrn.geometry.align import BoxRegressor
from trtkit.models.hrn.geometry.face_model import FaceModel
from trtkit.models.hrn.synthetic import head, skin
from trtkit.optional import need

MARK = "SYNTHETIC.txt"
NOTE = (
    "SYNTHETIC: made by trtkit from formulas, in the formats of the 3D Face HRN snapshot. These files describe no\n"
    "person and hold nothing of the Basel Face Model. Faces made with them are synthetic.\n"
)


def face_model() -> FaceModel:
    """3,705 vertices and 7,168 triangles; colours of 128 × 128 pixels in place of 512 × 512."""
    uvs, triangles = head.uvs(), head.triangles()
    mean = head.surface(uvs)
    identity, expression = head.bases()
    albedo_mean, albedo = skin.colours()
    return FaceModel(
        mean=(mean - mean.mean(axis=0)).reshape(-1),
        identity=identity,
        expression=expression,
        triangles=triangles,
        around=head.around(triangles, len(uvs)),
        landmarks=head.nearest(head.landmark_uvs()),
        uvs=uvs,
        uv_triangles=triangles,
        albedo_mean=albedo_mean,
        albedo=albedo,
        synthetic=True,
    )


def box_regressor() -> BoxRegressor:
    """A square around the five points, its corner and side in a fixed ratio to their spread."""
    nothing = np.zeros((3, 10))
    return BoxRegressor(np.eye(10), np.zeros(10), nothing, np.array([-2.1, -2.2, 224 / 4.4]))


def write(folder: Path) -> None:
    """The files of `assets/`, each under its official name, and a mark beside them.

    Raises MissingComponent without scipy, Mistake where `folder` cannot be written.
    """
    matlab = need("scipy.io", "writing a face model's .mat files")
    model, regressor = face_model(), box_regressor()
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / MARK, NOTE.encode())
    basel = {
        "meanshape": model.mean[None],
        "idBase": model.identity,
        "exBase": model.expression,
        "tri": model.triangles + 1,
        "point_buf": model.around + 1,
        "keypoints": model.landmarks[None] + 1,
        "synthetic": NOTE,
    }
    matlab.savemat(folder / "BFM_model_front.mat", basel, do_compression=True)
    matlab.savemat(folder / "similarity_Lm3D_all.mat", {"lm": model.mean.reshape(-1, 3)[model.landmarks]})
    params = {"W1": regressor.w1, "B1": regressor.b1[:, None], "W2": regressor.w2, "B2": regressor.b2[:, None]}
    matlab.savemat(folder / "BBRegressorParam_r.mat", params)
    np.save(folder / "bfm_uvs2.npy", model.uvs)
    np.save(folder / "bfm_tex_mean2.npy", model.albedo_mean)
    np.save(folder / "bfm_texmap_base2.npy", model.albedo)
    lines = [f"# {line}" for line in NOTE.splitlines()]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in model.mean.reshape(-1, 3)]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in model.uvs]
    lines += ["f " + " ".join(f"{corner}/{corner}" for corner in triangle) for triangle in model.uv_triangles + 1]
    write_whole(folder / "template_bfm.obj", ("\n".join(lines) + "\n").encode())
