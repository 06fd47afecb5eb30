"""The made-up face model: complete, consistent, read back as it was written, and never taken for the real one."""

import numpy as np
import pytest
from scipy import io

from trtkit.errors import MissingComponent, Mistake
from trtkit.models.hrn import assets
from trtkit.models.hrn.coefficients import Coefficients
from trtkit.models.hrn.geometry import face_model, normals
from trtkit.models.hrn.geometry.align import box_of, five_of_68
from trtkit.models.hrn.synthetic import portrait


def test_mesh_is_one_sheet_that_faces_the_viewer(face):
    vertices = face.mean.reshape(1, -1, 3)
    assert np.abs(face.mean.reshape(-1, 3).mean(axis=0)).max() < 1e-5
    assert 1.4 < np.ptp(vertices[..., 0]) < 1.8, "decimetres"
    assert (normals.of_triangles(vertices, face.triangles)[..., 2] > -0.35).all()
    edges = np.sort(np.concatenate([face.triangles[:, [0, 1]], face.triangles[:, [1, 2]], face.triangles[:, [2, 0]]]))
    assert np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)[1].max() == 2
    assert face.uvs.min() >= 0
    assert face.uvs.max() <= 1
    for vertex in (0, 100, len(face.uvs) - 1):
        wanted = np.flatnonzero((face.triangles == vertex).any(axis=1))
        found = face.around[vertex]
        assert sorted(found[found < len(face.triangles)]) == wanted.tolist()


def test_landmarks_are_68_places_in_order(face):
    points = face.mean.reshape(-1, 3)[face.landmarks]
    assert len(set(face.landmarks)) == 68
    left, right, nose, mouth_left, mouth_right = five_of_68(points)
    assert left[0] < nose[0] < right[0]
    assert mouth_left[0] < nose[0] < mouth_right[0]
    assert mouth_left[1] < nose[1] < left[1]
    assert nose[2] == points[:, 2].max()
    assert points[8, 1] == points[:, 1].min(), "the chin"


def test_written_files_read_back_as_the_same_model(face, synthetic_assets):
    found = assets.load(synthetic_assets.parent)
    assert found.model.synthetic
    for name in ("mean", "identity", "expression", "triangles", "around", "landmarks", "uvs", "uv_triangles", "albedo"):
        np.testing.assert_allclose(getattr(found.model, name), getattr(face, name), atol=1e-6)
    np.testing.assert_allclose(found.standard, five_of_68(face.mean.reshape(-1, 3)[face.landmarks]), atol=1e-6)
    points = 100 * found.standard[:, :2] * [1, -1] + 200
    x, y, side = box_of(points, found.box)
    assert x < points[:, 0].min()
    assert y < points[:, 1].min()
    assert x + side > points[:, 0].max()
    assert y + side > points[:, 1].max()


def test_albedo_basis_stays_on_the_disk_until_it_is_needed(synthetic_assets, face):
    found = assets.load(synthetic_assets).model
    assert isinstance(found.albedo, np.memmap)
    numbers = np.ones((1, 80), np.float32)
    np.testing.assert_allclose(face_model.albedo_map(found, numbers), face_model.albedo_map(face, numbers), atol=1e-6)


def test_files_say_that_they_are_synthetic(synthetic_assets):
    assert (synthetic_assets / "SYNTHETIC.txt").read_text().startswith("SYNTHETIC")
    assert "SYNTHETIC" in io.loadmat(synthetic_assets / "BFM_model_front.mat")["synthetic"][0]
    assert (synthetic_assets / "template_bfm.obj").read_text().startswith("# SYNTHETIC")
    assert sum(path.stat().st_size for path in synthetic_assets.iterdir()) < 25e6


def test_missing_files_are_named_with_their_source_and_terms(synthetic_assets, tmp_path):
    (tmp_path / "bfm_uvs2.npy").write_bytes(b"")
    with pytest.raises(MissingComponent) as refused:
        assets.load(tmp_path)
    sentence = str(refused.value)
    for part in ("BFM_model_front.mat", "template_bfm.obj", "iic/cv_resnet50_face-reconstruction", "research"):
        assert part in sentence
    assert "bfm_uvs2.npy" not in sentence, "that one is here"


@pytest.mark.parametrize("name", [name for name in assets.FILES if not name.endswith(".obj")])
def test_a_damaged_file_is_named(name, synthetic_assets, tmp_path):
    for file in synthetic_assets.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes() if file.name != name else b"\x00damaged")
    with pytest.raises(Mistake, match=name):
        assets.load(tmp_path)


@pytest.mark.parametrize("line", ["f 1/1 2/2 99999/99999", "f a b c", "f 1/1 2/2", "f 1.5 2 3"])
def test_faces_of_another_mesh_are_refused(synthetic_assets, tmp_path, line):
    for file in synthetic_assets.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "template_bfm.obj").write_text(f"f 1/1 2/2 3/3\n{line}\n")
    with pytest.raises(Mistake, match=r"template_bfm\.obj"):
        assets.load(tmp_path)


def test_few_numbers_carry_nearly_all_of_the_shape(face):
    sizes = np.linalg.norm(face.identity, axis=0)
    assert (sizes[:12] ** 2).sum() > 0.99 * (sizes**2).sum()
    half = face_model.shape(face, np.ones((1, 80), np.float32), np.ones((1, 64), np.float32))
    assert np.abs(half - face.mean.reshape(1, -1, 3)).max() < 0.6


def test_portrait_shows_the_face_where_its_landmarks_say(face, uv):
    drawn = portrait.random_face(np.random.default_rng(3))
    image, points, world = portrait.picture(face, uv, drawn, 224)
    assert image.shape == (224, 224, 3)
    assert world.shape == (3705, 3)
    covered = (image != 128).any(axis=-1)
    assert 0.2 < covered.mean() < 0.9
    inside = points[17:].round().astype(int)
    assert covered[inside[:, 1], inside[:, 0]].all()
    eyes = (points[36] + points[39]) / 2
    cheek = points[[31, 2]].mean(axis=0)
    brightness = [int(image[int(y), int(x)].sum()) for x, y in (eyes, cheek)]
    assert brightness[0] < brightness[1], "the iris is darker than the cheek"


def test_light_pose_and_place_move_the_picture_as_they_say(face, uv):
    plain = portrait.random_face(np.random.default_rng(1))
    still = Coefficients(**{**vars(plain), "angles": np.zeros((1, 3), np.float32), "place": np.zeros((1, 3), "f")})
    right = Coefficients(**{**vars(still), "place": np.array([[0.1, 0, 0]], np.float32)})
    _, before, _ = portrait.picture(face, uv, still, 224)
    _, after, _ = portrait.picture(face, uv, right, 224)
    np.testing.assert_allclose((after - before)[:, 0], 0.1 * 101.5, rtol=0.15, err_msg="1015 / 10 pixels a unit")
    np.testing.assert_allclose((after - before)[:, 1], 0, atol=1e-3)
