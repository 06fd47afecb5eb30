"""pull → export → build → infer of synthetic official snapshots, with no argument but the model's name."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests import tensorflow_environment
from tests.export.frozen.conftest import GRAPHS, write_graphs
from tests.hub.fake_hub import FakeHub
from trtkit.export.frozen import tensorflow_python
from trtkit.hub import places, record
from trtkit.hub.official import official

CARTOON = Path(__file__).parents[1] / "models" / "dct_net" / "tensorflow_cartoon.py"


@pytest.fixture(scope="module")
def tf_python():
    return tensorflow_environment.python()


@pytest.fixture(scope="module")
def small_portrait(portrait_pixels):
    return cv2.resize(portrait_pixels, (200, 160), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory, tf_python, small_portrait):
    """(model, style) → files of its synthetic snapshot: real frozen graphs, random weights."""
    folder = tmp_path_factory.mktemp("snapshots")
    write_graphs(tf_python, small_portrait, {folder / "tf_graph.pb": GRAPHS["C"]}, folder)
    for name, seed in (("cartoon_bg.pb", 1), ("cartoon_h.pb", 2)):
        done = subprocess.run(
            [tf_python, CARTOON, "freeze", folder / name, "8", str(seed)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    configuration = json.dumps({"framework": "tensorflow"}).encode()
    read = {path.name: path.read_bytes() for path in folder.glob("*.pb")}
    cartoon = {name: name.encode() for name in official("dct_net").files} | {"configuration.json": configuration}
    return {
        "cv_unet": {"configuration.json": configuration, "tf_graph.pb": read["tf_graph.pb"]},
        "dct_net": cartoon | {name: read[name] for name in ("cartoon_bg.pb", "cartoon_h.pb")},
    }


@pytest.fixture
def pulled(pull, snapshots, monkeypatch, tf_python, in_empty_folder):
    """model → its snapshot pulled into the cache that this process then uses."""

    def get(model: str) -> Path:
        wanted = official(model)
        with FakeHub({(wanted.model_id, wanted.revision): snapshots[model]}) as hub:
            pull.environment["MODELSCOPE_ENDPOINT"] = hub.endpoint
            process = pull.start(model)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        folder = places.find(pull.cache, wanted)
        assert folder is not None
        return folder

    monkeypatch.setenv("MODELSCOPE_CACHE", str(pull.cache))
    monkeypatch.setenv("TRTKIT_TF_PYTHON", str(tf_python))
    return get


@pytest.fixture
def picture(in_empty_folder, small_portrait):
    path = in_empty_folder / "photo.png"
    Image.fromarray(small_portrait).save(path)
    return path


def test_cv_unet_from_the_hub_to_the_picture(trtkit, pulled, picture, small_portrait, tf_python):
    pytest.importorskip("tensorrt_rtx_bindings")
    folder = pulled("cv_unet")
    exported = trtkit("export", "cv_unet")
    assert exported.code == 0, exported.err
    assert f"official weights iic/cv_unet_image-matting master from {folder}" in exported.out
    assert "networks: coarse, refine" in exported.out
    built = trtkit("build", "cv_unet", "--gpu", "a10", "--gpu", "t4")
    assert built.code == 0, built.err
    assert built.out.count("6/6") == 4
    done = trtkit("infer", "photo.png")
    assert done.code == 0, done.err
    assert "official weights" in done.out
    found = cv2.cvtColor(cv2.imread("photo.cutout.png", cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    feed = [{"input_image": small_portrait.astype(np.float32)}]
    wanted = tensorflow_python.run(folder / "tf_graph.pb", feed, ["output_png"], [], str(tf_python))[0]["output_png"]
    assert wanted[..., 3].std() > 3
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_infer_alone_imports_what_was_pulled(trtkit, pulled, picture):
    pulled("cv_unet")
    first = trtkit("infer", "photo.png")
    assert first.code == 0, first.err
    assert "official weights" in first.out
    # From here on neither the snapshot nor TensorFlow is asked again.
    second = trtkit("infer", "photo.png", "--weights", "official")
    assert second.code == 0, second.err


def test_a_pulled_snapshot_without_tensorflow_is_said_and_not_passed_over(trtkit, pulled, picture, monkeypatch):
    pulled("cv_unet")
    monkeypatch.delenv("TRTKIT_TF_PYTHON")
    answer = trtkit("infer", "photo.png")
    assert answer.code == 3
    assert "pip install 'trtkit[tf]'" in answer.err
    assert "--weights embedded" in answer.err
    done = trtkit("infer", "photo.png", "--weights", "embedded")
    assert done.code == 0, done.err
    assert "embedded weights, as --weights says" in done.out


def test_dct_net_from_the_hub_to_the_picture(trtkit, pulled, picture):
    pytest.importorskip("tensorrt_rtx_bindings")
    folder = pulled("dct_net")
    exported = trtkit("export", "dct_net")
    assert exported.code == 0, exported.err
    assert f"official weights iic/cv_unet_person-image-cartoon_compound-models master from {folder}" in exported.out
    built = trtkit("build", "dct_net", "--gpu", "a10")
    assert built.code == 0, built.err
    assert built.out.count("18/18") == 2
    done = trtkit("infer", "photo.png", "--model", "dct_net", "--no-faces")
    assert done.code == 0, done.err
    assert "official weights" in done.out
    assert Path("photo.cartoon.png").is_file()


def test_without_a_snapshot_it_is_the_embedded_weights_and_said(trtkit, picture, monkeypatch, tmp_path):
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "nothing"))
    done = trtkit("infer", "photo.png")
    assert done.code == 0, done.err
    assert "embedded weights; no official snapshot has been pulled" in done.out
    missing = trtkit("infer", "photo.png", "--weights", "official")
    assert missing.code == 2
    assert "get it with: trtkit pull cv_unet" in missing.err
    wrong = trtkit("infer", "photo.png", "--weights", "gone.pb")
    assert "--weights gone.pb does not exist; right would be embedded, official, or" in wrong.err


def test_half_a_snapshot_is_never_used(trtkit, pulled, picture):
    folder = pulled("cv_unet")
    (folder / record.NAME).unlink()
    done = trtkit("infer", "photo.png")
    assert done.code == 0, done.err
    assert f"embedded weights; the snapshot in {folder} has not been checked" in done.out
    assert "trtkit pull cv_unet" in done.out


def test_a_file_that_changed_since_the_pull_is_not_used(trtkit, pulled, picture):
    graph = pulled("cv_unet") / "tf_graph.pb"
    content = bytearray(graph.read_bytes())
    content[-100] ^= 1
    graph.write_bytes(content)
    answer = trtkit("infer", "photo.png")
    assert answer.code == 4
    assert f"{graph} is not the file that was pulled; run trtkit pull again" in answer.err


def test_an_update_of_the_snapshot_is_exported_anew(
    trtkit, pulled, picture, snapshots, tf_python, small_portrait, tmp_path
):
    pulled("cv_unet")
    assert trtkit("infer", "photo.png").code == 0
    first = json.loads(Path("artifacts/cv_unet/chain.json").read_text())["weights"]["sha256"]
    other = tmp_path / "tf_graph.pb"
    write_graphs(tf_python, small_portrait, {other: {**GRAPHS["C"], "seed": 3, "structure": "A"}}, tmp_path)
    before = snapshots["cv_unet"]["tf_graph.pb"]
    snapshots["cv_unet"]["tf_graph.pb"] = other.read_bytes()
    try:
        pulled("cv_unet")
    finally:
        snapshots["cv_unet"]["tf_graph.pb"] = before
    assert trtkit("infer", "photo.png").code == 0
    assert json.loads(Path("artifacts/cv_unet/chain.json").read_text())["weights"]["sha256"] != first


def test_a_users_own_export_is_not_replaced_by_what_was_pulled(trtkit, pulled, picture, tmp_path, snapshots):
    mine = tmp_path / "mine.pb"
    mine.write_bytes(snapshots["cv_unet"]["tf_graph.pb"])
    assert trtkit("export", "cv_unet", "--weights", mine).code == 0
    pulled("cv_unet")
    assert "weights of your own" in trtkit("infer", "photo.png").out
