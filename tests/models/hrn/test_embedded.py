"""`trtkit infer -m hrn` with nothing but the package: its networks on drawn faces, and on what is no such thing."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from trtkit.models.hrn.synthetic import portrait


@pytest.fixture(scope="module")
def drawn(face, uv):
    """(picture uint8 [420, 420, 3], its 68 points)."""
    rng = np.random.default_rng(1)
    image = np.full((420, 420, 3), 150, np.uint8)
    image[60:360, 60:360], points, _ = portrait.picture(
        face, uv, portrait.random_face(rng), 300, image[60:360, 60:360].copy()
    )
    return image, points + 60


def test_a_drawn_face_is_found_and_said_to_be_synthetic(trtkit, drawn, in_empty_folder):
    image, points = drawn
    Image.fromarray(image).save("face.png")
    done = trtkit("infer", "face.png", "-m", "hrn", "--output", "all", "-o", "out")
    assert done.code == 0, done.out + done.err
    said = " ".join(done.err.split())
    assert "embedded weights; no official snapshot has been pulled" in said
    assert "SYNTHETIC face model, made by trtkit and measured on nobody: good for drawn faces only" in said
    assert len(list(Path("out").iterdir())) == 9
    held = json.loads(Path("out/face.face.coeffs.json").read_text())
    assert held["synthetic"] is True
    off = np.linalg.norm(np.array(held["faces"][0]["landmarks"]) - points, axis=1)
    assert off.mean() < 0.05 * np.ptp(points[:, 0])
    mesh = trimesh.load("out/face.face.obj", process=False)
    assert np.isfinite(mesh.vertices).all()
    assert Path("out/face.face.obj").read_text().startswith("# SYNTHETIC")


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_greyscale_and_transparency_are_done_like_any_other(mode, trtkit, drawn, in_empty_folder):
    Image.fromarray(drawn[0]).convert(mode).save("face.png")
    done = trtkit("infer", "face.png", "-m", "hrn", "--output", "uv")
    assert done.code == 0, done.out + done.err
    assert Image.open("face.face.texture.png").size == (256, 256)


@pytest.mark.parametrize("shape", [(1, 1), (240, 320)])
def test_a_picture_of_nobody_is_one_sentence(shape, trtkit, in_empty_folder):
    Image.fromarray(np.full((*shape, 3), 120, np.uint8)).save("empty.png")
    done = trtkit("infer", "empty.png", "-m", "hrn", "-o", "out")
    assert done.code == 2
    assert "empty.png shows no face that RetinaFace finds" in " ".join(done.err.split())
    assert not Path("out").exists()


def test_models_says_what_the_networks_are_good_for(trtkit, in_empty_folder):
    shown = " ".join(trtkit("models").out.split())
    assert "hrn (3D face)" in shown
    assert "drawn faces only" in shown
