"""Which files an output consists of, and what is in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trtkit.files import write_whole
from trtkit.models.hrn.faces import Faces
from trtkit.models.hrn.geometry.face_model import FaceModel
from trtkit.models.hrn.output import mesh as meshes
from trtkit.models.hrn.output.coefficients_json import document
from trtkit.models.hrn.output.glb import glb
from trtkit.models.hrn.output.obj import mtl, obj
from trtkit.models.hrn.output.turntable import contact_sheet
from trtkit.models.imaging import encode


def contents(faces: Faces, model: FaceModel, output: str, stem: str) -> dict[str, bytes]:
    """File name → content: STEM.coeffs.json and, face by face, STEM.texture.png, STEM.obj with its .mtl, STEM.glb,
    STEM.preview.png, and the maps STEM.normals.png, STEM.albedo.png, STEM.shaded.png.

    Several faces are STEM.1, STEM.2, … Raises MissingComponent where GLB is wanted and trimesh is not here.
    """
    made = {f"{stem}.coeffs.json": document(faces, model.synthetic)} if output in ("coeffs", "all") else {}
    if faces.mid is None:
        return made
    count = len(faces.vector)
    for k in range(count):
        name = stem if count == 1 else f"{stem}.{k + 1}"
        mesh = meshes.of(faces.mid.world[k], faces.mid.texture[k], model)
        made[f"{name}.texture.png"] = _png(mesh.texture)
        if output == "uv":
            continue
        made[f"{name}.obj"] = obj(mesh, f"{name}.mtl")
        made[f"{name}.mtl"] = mtl(f"{name}.texture.png")
        made[f"{name}.glb"] = glb(mesh)
        made[f"{name}.preview.png"] = _png(contact_sheet(mesh))
        if faces.detail is not None:
            made[f"{name}.normals.png"] = _png(meshes.to_pixels(faces.detail.normals[k] / 2 + 0.5))
            made[f"{name}.albedo.png"] = _png(meshes.to_pixels(faces.detail.albedo[k]))
            made[f"{name}.shaded.png"] = _png(meshes.to_pixels(faces.detail.shaded[k]))
    return made


def write(folder: Path, made: dict[str, bytes]) -> list[Path]:
    """Every file whole, the small text before what refers to it. Raises Mistake naming the file that cannot be."""
    for name, content in made.items():
        write_whole(folder / name, content)
    return [folder / name for name in made]


def _png(pixels: NDArray[np.uint8]) -> bytes:
    return encode.encode(pixels, ".png")
