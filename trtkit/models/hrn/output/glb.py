"""Binary glTF 2.0: one file with mesh and texture, through trimesh."""

from __future__ import annotations

from PIL import Image

from trtkit.models.hrn.output.mesh import Mesh
from trtkit.optional import need


def glb(mesh: Mesh) -> bytes:
    """The file's content. Raises MissingComponent without trimesh."""
    trimesh = need("trimesh", "writing GLB")
    visual = trimesh.visual.TextureVisuals(
        uv=mesh.uvs,
        material=trimesh.visual.material.PBRMaterial(
            baseColorTexture=Image.fromarray(mesh.texture), metallicFactor=0.0, roughnessFactor=1.0, doubleSided=True
        ),
    )
    # process=False: merging equal vertices would break their order, which the coefficients' bases share.
    body = trimesh.Trimesh(
        mesh.vertices, mesh.triangles, vertex_normals=mesh.normals, visual=visual, process=False, validate=False
    )
    scene = trimesh.Scene({"face": body})
    scene.metadata["synthetic"] = mesh.synthetic
    content: bytes = scene.export(file_type="glb", include_normals=True)
    return content
