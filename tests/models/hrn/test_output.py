"""What leaves: files that other people's readers open, with what was put into them."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pygltflib
import pytest
import trimesh
from PIL import Image

from tests.models.hrn.known_networks import networks, scene
from trtkit.errors import MissingComponent, Mistake
from trtkit.models.hrn import assets
from trtkit.models.hrn.geometry import pose
from trtkit.models.hrn.options import Options
from trtkit.models.hrn.output import files, mesh, turntable
from trtkit.models.hrn.output.glb import glb
from trtkit.models.hrn.output.obj import mtl, obj
from trtkit.models.hrn.pipeline import FaceReconstruction
from trtkit.models.imaging.decode import Picture
from trtkit.models.pipeline import StageClock


@pytest.fixture(scope="module")
def head(face):
    """The mean face under a texture whose colours are its places."""
    rows, columns = np.mgrid[:64, :64] / np.float32(63)
    texture = np.stack([columns, rows, np.full_like(rows, 0.5)], axis=-1)
    return mesh.of(face.mean.reshape(-1, 3), texture, face)


@pytest.fixture(scope="module")
def made(face, uv, synthetic_assets, tmp_path_factory):
    """(output, faces wanted) → the files' contents of a picture with two faces."""
    image, truths = scene(face, uv, [(10, 10, 200), (230, 10, 200)], (220, 440))

    def contents(output, all_faces=False):
        backends, _ = networks(truths, (220, 440))
        options = Options(output, all_faces)
        pipeline = FaceReconstruction(backends, assets.load(synthetic_assets), options, tmp_path_factory.getbasetemp())
        picture = Picture(image, None, (220, 440), Path("two.jpg"))
        return files.contents(pipeline.reconstruct(picture, StageClock()), face, output, "two")

    return contents


def test_glb_opens_with_the_mesh_its_uvs_and_texture(head):
    content = glb(head)
    document = pygltflib.GLTF2().load_from_bytes(content)
    primitive = document.meshes[0].primitives[0]
    assert document.accessors[primitive.attributes.POSITION].count == len(head.vertices)
    assert document.accessors[primitive.indices].count == 3 * len(head.triangles)
    assert primitive.attributes.NORMAL is not None
    assert document.materials[0].pbrMetallicRoughness.baseColorTexture is not None
    loaded = trimesh.load(io.BytesIO(content), file_type="glb", process=False).geometry["face"]
    np.testing.assert_allclose(loaded.vertices, head.vertices, atol=1e-6)
    np.testing.assert_array_equal(loaded.faces, head.triangles)
    np.testing.assert_allclose(loaded.visual.uv, head.uvs, atol=1e-6)
    texture = np.asarray(loaded.visual.material.baseColorTexture.convert("RGB"))
    np.testing.assert_array_equal(texture, head.texture)


def test_glb_says_that_the_face_is_synthetic(head):
    document = pygltflib.GLTF2().load_from_bytes(glb(head))
    assert json.loads(json.dumps(document.scenes[0].extras))["synthetic"] is True


def test_glb_texture_row_is_the_one_the_viewer_takes(head):
    """glTF counts v downward: the accessor must hold 1 − v."""
    document = pygltflib.GLTF2().load_from_bytes(glb(head))
    accessor = document.accessors[document.meshes[0].primitives[0].attributes.TEXCOORD_0]
    view = document.bufferViews[accessor.bufferView]
    start = view.byteOffset + (accessor.byteOffset or 0)
    values = np.frombuffer(document.binary_blob()[start : start + 8 * accessor.count], "<f4").reshape(-1, 2)
    np.testing.assert_allclose(values, head.uvs * [1, -1] + [0, 1], atol=1e-6)


def test_without_trimesh_the_extra_is_named(head, monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(MissingComponent, match=r"writing GLB needs the Python package 'trimesh'.*trtkit\[hrn\]"):
        glb(head)


def test_obj_opens_with_the_same_mesh_and_its_texture(head, tmp_path):
    content = {"a.obj": obj(head, "a.mtl"), "a.mtl": mtl("a.png")}
    for name, text in content.items():
        (tmp_path / name).write_bytes(text)
    Image.fromarray(head.texture).save(tmp_path / "a.png")
    loaded = trimesh.load(tmp_path / "a.obj", process=False, maintain_order=True)
    assert loaded.vertices.shape == head.vertices.shape
    assert loaded.faces.shape == head.triangles.shape
    corners, wanted = loaded.vertices[loaded.faces], head.vertices[head.triangles]
    np.testing.assert_allclose(corners, wanted, atol=1e-5)
    np.testing.assert_allclose(loaded.visual.uv[loaded.faces], head.uvs[head.triangles], atol=1e-5)
    assert loaded.visual.material.image.size == (64, 64)
    lines = content["a.obj"].decode().splitlines()
    assert lines[0].startswith("# SYNTHETIC")
    assert sum(line.startswith("vn ") for line in lines) == len(head.vertices)
    assert lines[-1] == "f " + " ".join(f"{k}/{k}/{k}" for k in head.triangles[-1] + 1)


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        ("coeffs", {"coeffs.json"}),
        ("uv", {"texture.png"}),
        ("mesh", {"texture.png", "obj", "mtl", "glb", "preview.png"}),
        (
            "all",
            {"coeffs.json", "texture.png", "obj", "mtl", "glb", "preview.png"}
            | {"normals.png", "albedo.png", "shaded.png"},
        ),
    ],
)
def test_each_output_is_its_files(output, wanted, made):
    found = made(output)
    assert set(found) == {f"two.{name}" for name in wanted}
    for name, content in found.items():
        if name.endswith(".png") and "preview" not in name:
            assert Image.open(io.BytesIO(content)).size == (256, 256)


def test_several_faces_are_numbered_and_refer_to_their_own_files(made):
    found = made("mesh", all_faces=True)
    assert {name for name in found if name.endswith(".glb")} == {"two.1.glb", "two.2.glb"}
    assert b"mtllib two.2.mtl\n" in found["two.2.obj"]
    assert b"map_Kd two.2.texture.png\n" in found["two.2.mtl"]
    assert len(json.loads(made("coeffs", all_faces=True)["two.coeffs.json"])["faces"]) == 2


def test_files_are_written_whole_and_a_bad_folder_is_a_sentence(made, tmp_path):
    found = made("mesh")
    written = files.write(tmp_path / "out", found)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(found)
    assert all(path.read_bytes() == found[path.name] for path in written)
    assert trimesh.load(tmp_path / "out" / "two.obj", process=False).visual.material.image.size == (256, 256)
    with pytest.raises(Mistake, match="is a file, not a folder"):
        files.write(written[0] / "deeper", found)


def test_preview_turns_the_face_and_never_cuts_it(head):
    sheet = turntable.contact_sheet(head, 96)
    assert sheet.shape == (192, 480, 3)
    empty = (np.abs(sheet.astype(int) - round(0.95 * 255)) <= 1).all(axis=-1)
    views = [~empty[r : r + 96, c : c + 96] for r in (0, 96) for c in range(0, 480, 96)]
    for view in views:
        assert view.mean() > 0.1
        for rim in (view[0], view[-1], view[:, 0], view[:, -1]):
            assert not rim.any()
    # Mirrored in shape: as far to the left as to the right, up to the coarseness of pixels.
    left, right = views[5], views[9]
    assert (left != right[:, ::-1]).mean() < 0.03
    grey = sheet[96:]
    assert (grey[..., 0] == grey[..., 2]).all()


def test_preview_shows_the_side_it_says(head):
    """Yaw turns the nose: to the picture's right for a positive angle."""
    tip = head.vertices[head.vertices[:, 2].argmax()]
    turned = [float((tip @ pose.rotation(np.array([[0, yaw, 0]], np.float32))[0])[0]) for yaw in (-0.4, 0.4)]
    assert turned[0] < 0 < turned[1]


def test_colours_beyond_the_range_are_clipped_not_wrapped():
    np.testing.assert_array_equal(mesh.to_pixels(np.array([-0.1, 0, 0.5, 1, 1.4], np.float32)), [0, 0, 128, 255, 255])
