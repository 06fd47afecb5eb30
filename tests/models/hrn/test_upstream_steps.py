"""The steps between the networks against the upstream functions, on the same arrays."""

import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.models.hrn import upstream
from trtkit.models.hrn import anchors, find_faces, points68
from trtkit.models.hrn.coefficients import join, split
from trtkit.models.hrn.geometry import align, face_model, light, normals, pose, refine, texture, uv_map
from trtkit.models.hrn.synthetic import files, portrait


@pytest.fixture(scope="module")
def given(face, uv):
    """Two synthetic faces and random maps for the geometry, a picture and a detector's answer for the rest."""
    rng = np.random.default_rng(11)
    parts = split(np.concatenate([join(portrait.random_face(rng)) for _ in range(2)]))
    regressor = files.box_regressor()
    image = cv2.GaussianBlur(rng.integers(0, 256, (330, 410, 3)).astype(np.uint8), (0, 0), 2)
    scores = np.tile(np.float32([4, -4]), (4282, 1))
    scores[[3136 + 5, 3136 + 784 + 98, 3136 + 784 + 99, 4280]] = [[0, 0.3], [-3, 3], [-2, 2.5], [0.5, 0]]
    heat = cv2.GaussianBlur(rng.uniform(size=(64, 64, 68)).astype(np.float32), (0, 0), 3).transpose(2, 0, 1)
    return {
        "triangles": face.triangles,
        "around": face.around,
        "corners": uv.corners,
        "weights": uv.weights,
        "uvs": face.uvs,
        "shape": face_model.shape(face, parts.identity, parts.expression),
        "angles": parts.angles,
        "place": parts.place,
        "light": parts.light,
        "picture": rng.uniform(size=(2, 512, 512, 3)).astype(np.float32),
        "deformation": rng.normal(0, 0.05, (2, 64, 64, 3)).astype(np.float32),
        "displacement": rng.normal(0, 0.01, (2, 256, 256)).astype(np.float32),
        "albedo": rng.uniform(size=(2, 256, 256, 3)).astype(np.float32),
        "image": image,
        "five": np.float64([[150.3, 120.8], [211.6, 128.2], [178.9, 160.1], [155.4, 190.7], [201.2, 196.3]]),
        "standard": align.five_of_68(face.mean.reshape(-1, 3)[face.landmarks]).astype(np.float64),
        "W1": regressor.w1,
        "B1": regressor.b1[:, None],
        "W2": rng.normal(0, 0.1, (3, 10)),
        "B2": regressor.b2[:, None],
        "s3fd_boxes": rng.normal(0, 0.5, (4282, 4)).astype(np.float32),
        "s3fd_scores": scores,
        "face_crop": cv2.resize(image, (224, 224)),
        "heat": np.ascontiguousarray(heat),
        "retina_boxes": rng.normal(0, 1, (10752, 4)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def wanted(given, tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    np.savez(folder / "given.npz", **given)
    script = Path(__file__).with_name("upstream_steps.py")
    command = [upstream.python(), script, folder / "given.npz", folder / "wanted.npz"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "wanted.npz") as held:
        return dict(held)


@pytest.fixture
def posed(given, face):
    turn = pose.rotation(given["angles"])
    return turn, pose.place(given["shape"], turn, given["place"]), normals.of_vertices(given["shape"], face)


def test_pose_and_projection(posed, wanted):
    turn, world, facing = posed
    np.testing.assert_allclose(turn, wanted["turn"], atol=1e-6)
    np.testing.assert_allclose(world, wanted["world"], atol=1e-5)
    np.testing.assert_allclose(facing, wanted["facing"], atol=1e-5)
    np.testing.assert_allclose(pose.project(pose.flip_depth(world)), wanted["projected"], atol=1e-3)


def test_texture(given, posed, uv, wanted):
    found = texture.texture_map(pose.flip_depth(posed[1]), given["picture"], uv)
    # With its swapped rows the sampling jumps at each whole row, and the last bit of a coordinate decides the side.
    assert (np.abs(found - wanted["texture"]).max(axis=-1) > 1e-3).mean() < 1e-3


def test_deformation(given, wanted):
    found = given["shape"] + refine.offsets(given["deformation"], given["uvs"])
    np.testing.assert_allclose(found, wanted["moved"], atol=1e-6)


def test_detail_normals_and_their_light(given, posed, uv, wanted):
    turn, world, facing = posed
    found = normals.detailed(
        uv_map.world_to_uv(world, uv), uv_map.world_to_uv(facing @ turn, uv), given["displacement"]
    )
    gap = np.abs(found - wanted["detailed"])
    # Squares of the grid are 1e-5 wide: their normals carry the last bits of the positions.
    assert np.quantile(gap, 0.999) < 1e-3
    assert gap.max() < 0.05
    colours = light.shade(given["albedo"], wanted["detailed"], given["light"])
    np.testing.assert_allclose(colours, wanted["colours"], atol=1e-5)


@pytest.mark.parametrize("side", [224, 512])
def test_aligned_crop(side, given, wanted):
    standard = given["standard"]
    frame = align.frame_of(given["five"], standard, given["image"].shape[:2], side)
    gap = np.abs(align.cut(given["image"], frame).astype(int) - wanted[f"cut{side}"])
    assert gap.max() <= 1


def test_box_and_square_for_the_68_points(given, wanted):
    regressor = align.BoxRegressor.of(given)
    x, y, side = align.box_of(given["five"], regressor)
    assert [x, y, side, side] == wanted["box"].tolist()
    np.testing.assert_array_equal(align.square(given["image"], x, y, side), wanted["square"])
    np.testing.assert_allclose(224 / side, wanted["square_scale"])


def test_s3fd_box_fan_crop_and_points(given, wanted):
    box = points68.box_of(given["s3fd_boxes"], given["s3fd_scores"])
    np.testing.assert_allclose(box, wanted["s3fd_box"], atol=1e-3)
    window = points68.window_of(box)
    crop = points68.fan_input(given["face_crop"], window).transpose(1, 2, 0) * 255
    np.testing.assert_allclose(crop, wanted["fan_crop"], atol=1e-3)
    found = points68.points_of(given["heat"], window)
    # Upstream cuts to whole pixels: a coordinate on the edge of one may fall to either side.
    assert (np.abs(found - wanted["points"]) <= 1).all()
    assert (found == wanted["points"]).mean() > 0.98


def test_retinaface_anchors_and_boxes(given, wanted):
    np.testing.assert_allclose(find_faces.priors(), wanted["priors"], atol=1e-6)
    found = anchors.decode(given["retina_boxes"], find_faces.priors())
    np.testing.assert_allclose(found, wanted["retina_decoded"], atol=1e-5)
