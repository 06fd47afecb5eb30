"""Wavefront OBJ with its material: text, for every program that reads meshes."""

from __future__ import annotations

import numpy as np

from trtkit.models.hrn.output.mesh import Mesh

_MARK = "# SYNTHETIC face, on a face model made by trtkit\n"


def obj(mesh: Mesh, material: str) -> bytes:
    """The mesh; `material` is the name of its .mtl file. Six decimals, corners as v/vt/vn, counted from 1."""
    parts = [_MARK if mesh.synthetic else "", f"mtllib {material}\nusemtl face\n"]
    parts += [_rows("v", mesh.vertices), _rows("vt", mesh.uvs), _rows("vn", mesh.normals)]
    corners = mesh.triangles + 1
    parts += ["f %d/%d/%d %d/%d/%d %d/%d/%d\n" * len(corners) % tuple(np.repeat(corners.reshape(-1), 3).tolist())]
    return _encoded("".join(parts))


def mtl(texture: str) -> bytes:
    """A material of that texture file and nothing else: the picture's own light is in it."""
    return _encoded(f"newmtl face\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {texture}\n")


def _encoded(text: str) -> bytes:
    """UTF-8, but for the bytes of a file's name that are not: by other bytes the file would not be found."""
    return text.encode(errors="surrogateescape")


def _rows(kind: str, values: np.ndarray) -> str:
    line = " ".join([kind, *["%.6f"] * values.shape[1]]) + "\n"
    return line * len(values) % tuple(values.reshape(-1).tolist())
