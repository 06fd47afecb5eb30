"""pull → export → build → infer of a synthetic official snapshot of HRN, with no argument but the model's name."""

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from tests import tensorflow_environment
from tests.export.frozen.conftest import write_graphs
from tests.hub.fake_hub import FakeHub
from tests.models.hrn import official_layout
from trtkit.hub import places
from trtkit.hub.official import official
from trtkit.models.hrn.geometry import uv_map
from trtkit.models.hrn.synthetic import files, portrait


@pytest.fixture(scope="module")
def tf_python():
    return tensorflow_environment.python()


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory, tf_python, portrait_pixels):
    """The networks in the package, the synthetic face model and a random mask, in the official files."""
    folder = tmp_path_factory.mktemp("snapshot")
    official_layout.write(folder)
    write_graphs(
        tf_python,
        portrait_pixels[:224, :224],
        {folder / "segment_face.pb": {"structure": "mask", "norm": False}},
        folder,
    )
    (folder / "configuration.json").write_text("{}")
    return {name: (folder / name).read_bytes() for name in official("hrn").files}


@pytest.fixture
def picture(in_empty_folder):
    """A drawn face in a larger picture: its 68 points."""
    model = files.face_model()
    uv = uv_map.rasterize(model.uvs, model.uv_triangles)
    drawn, points, _ = portrait.picture(model, uv, portrait.random_face(np.random.default_rng(3)), 300)
    image = np.full((420, 560, 3), 128, np.uint8)
    image[60:360, 130:430] = drawn
    Image.fromarray(image).save(in_empty_folder / "face.png")
    return points + np.array([130, 60])


def test_hrn_from_the_hub_to_the_mesh(trtkit, pull, snapshot, picture, tf_python, monkeypatch):
    pytest.importorskip("tensorrt_rtx_bindings")
    wanted = official("hrn")
    with FakeHub({(wanted.model_id, wanted.revision): snapshot}) as hub:
        pull.environment["MODELSCOPE_ENDPOINT"] = hub.endpoint
        process = pull.start("hrn")
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    folder = places.find(pull.cache, wanted)
    monkeypatch.setenv("MODELSCOPE_CACHE", str(pull.cache))
    monkeypatch.setenv("TRTKIT_TF_PYTHON", str(tf_python))

    exported = trtkit("export", "hrn")
    assert exported.code == 0, exported.err
    assert f"official weights iic/cv_resnet50_face-reconstruction v2.0.0-HRN from {folder}" in exported.err
    assert "networks: segment_face_core" in exported.out
    assert exported.out.count("of the largest value from its source network") == 8

    built = trtkit("build", "hrn", "--gpu", "a10", "--gpu", "t4")
    assert built.code == 0, built.err
    assert len(list(Path("artifacts/hrn").glob("*.engine"))) == 18
    assert trtkit("verify", "artifacts").code == 0

    done = trtkit("infer", "face.png", "-m", "hrn")
    assert done.code == 0, done.out + done.err
    assert "official weights" in done.err
    assert "face mask: segment_face.pb, imported" in done.err.replace("\n", " ")
    assert len(trimesh.load("face.face.glb", process=False).geometry["face"].vertices) == 3705
    # Neither the hub nor TensorFlow is asked again.
    monkeypatch.delenv("TRTKIT_TF_PYTHON")
    again = trtkit("infer", "face.png", "-m", "hrn", "--output", "coeffs")
    assert again.code == 0, again.out + again.err
    (listed,) = json.loads(Path("face.face.coeffs.json").read_text())["faces"]
    width = np.ptp(picture[:, 0])
    assert np.linalg.norm(np.array(listed["landmarks"]) - picture, axis=1).mean() < 0.05 * width
