"""pull → export → build → infer of synthetic official snapshots, with no argument but the model's name."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests import tensorflow_environment
from tests.export.frozen.conftest import GRAPHS, write_graphs
from tests.hub.fake_hub import FakeHub
from trtkit.export.frozen.tensorflow_python import TensorFlow
from trtkit.hub import places, record
from trtkit.hub.official import official
from trtkit.models.dct_net import DETECTOR, KEYPOINTS
from trtkit.models.dct_net.faces import Detector
from trtkit.models.dct_net.official_faces import find_faces
from trtkit.models.dct_net.options import Options
from trtkit.models.dct_net.pipeline import Cartoon
from trtkit.models.imaging.decode import Picture
from trtkit.models.pipeline import StageClock
from trtkit.runtime.cpu import CpuBackend

CARTOON = Path(__file__).parents[1] / "models" / "dct_net" / "tensorflow_cartoon.py"
FACES = CARTOON.with_name("tensorflow_faces.py")


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
    done = subprocess.run(
        [tf_python, FACES, folder / "detector.pb", folder / "keypoints.pb"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    mask = np.zeros((144, 144), np.uint8)
    cv2.circle(mask, (72, 72), 60, 255, -1)
    cv2.imwrite(str(folder / "alpha.jpg"), mask)
    configuration = json.dumps({"framework": "tensorflow"}).encode()
    read = {path.name: path.read_bytes() for path in folder.glob("*.pb")}
    read["alpha.jpg"] = (folder / "alpha.jpg").read_bytes()
    cartoon = {name: read[name] for name in official("dct_net").files if name in read}
    return {
        "cv_unet": {"configuration.json": configuration, "tf_graph.pb": read["tf_graph.pb"]},
        "dct_net": cartoon | {"configuration.json": configuration},
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
    assert f"official weights iic/cv_unet_image-matting master from {folder}" in exported.err
    assert "networks: coarse, refine" in exported.out
    built = trtkit("build", "cv_unet", "--gpu", "a10", "--gpu", "t4")
    assert built.code == 0, built.err
    assert built.out.count("6/6") == 4
    done = trtkit("infer", "photo.png")
    assert done.code == 0, done.err
    assert "official weights" in done.err
    found = cv2.cvtColor(cv2.imread("photo.cutout.png", cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    feed = [{"input_image": small_portrait.astype(np.float32)}]
    with TensorFlow(str(tf_python)) as tensorflow:
        wanted = tensorflow.run(folder / "tf_graph.pb", feed, ["output_png"], [])[0]["output_png"]
    assert wanted[..., 3].std() > 3
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_infer_alone_imports_what_was_pulled(trtkit, pulled, picture):
    pulled("cv_unet")
    first = trtkit("infer", "photo.png")
    assert first.code == 0, first.err
    assert "official weights" in first.err
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
    assert "embedded weights, as --weights says" in done.err


@pytest.fixture
def two_faces(in_empty_folder, portrait_pixels):
    """faces.png and its pixels: two faces, as far as the stand-in of the detector is concerned, one a little larger."""
    rgb = cv2.resize(portrait_pixels, (320, 240), interpolation=cv2.INTER_AREA)
    for left, top, width, height in ((30, 60, 80, 90), (200, 40, 90, 100)):
        part = rgb[top : top + height, left : left + width]
        part[:] = part // 4 + np.array([0, 0, 180], np.uint8)
    Image.fromarray(rgb).save("faces.png")
    return rgb


def _by_tensorflow(rgb, snapshot, folder, tf_python):
    """What the pipeline makes of `rgb` where TensorFlow itself runs the snapshot's face graphs."""
    for name in ("detector.pb", "keypoints.pb", "alpha.jpg"):
        (folder / name).write_bytes(snapshot[name])

    def by(side):
        def run(pixels):
            feed = [{"tower_0/images": pixels.astype(np.float32)}]
            fixed = ["training_flag=False"]
            return tensorflow.run(folder / side.file_name, feed, side.outputs, fixed)[0]

        return run

    faces = []

    def find(pixels):
        faces.extend(find_faces(pixels, by(DETECTOR), by(KEYPOINTS)))
        return faces

    networks = {name: CpuBackend(Path(f"artifacts/dct_net/{name}.fp32.onnx")) for name in ("background", "head")}
    pipeline = Cartoon(networks, Options(), Detector("TensorFlow", find), folder / "alpha.jpg")
    clock = StageClock()
    with TensorFlow(str(tf_python)) as tensorflow:
        item = pipeline.prepare(Picture(rgb, None, rgb.shape[:2], Path("faces.png")), clock)
    drawn = pipeline.finish(item, pipeline.run([item], clock)[0], clock)
    boxes = np.array([face.box for face in faces])
    assert np.abs(boxes - [(200, 40, 90, 100), (30, 60, 80, 90)]).max() <= 2
    return drawn


def test_dct_net_from_the_hub_to_the_picture(trtkit, pulled, two_faces, snapshots, tmp_path, tf_python):
    pytest.importorskip("tensorrt_rtx_bindings")
    folder = pulled("dct_net")
    exported = trtkit("export", "dct_net")
    assert exported.code == 0, exported.err
    assert f"official weights iic/cv_unet_person-image-cartoon_compound-models master from {folder}" in exported.err
    for name in ("detector", "keypoints"):
        assert f"artifacts/dct_net/{name}.chain.json  {name}.pb  at most" in exported.out
    built = trtkit("build", "dct_net", "--gpu", "a10")
    assert built.code == 0, built.err
    assert built.out.count("18/18") == 2
    assert built.out.count("dct_net/detector_core") == built.out.count("dct_net/keypoints_core") == 1
    # From here on neither the snapshot nor TensorFlow is asked again.
    shutil.rmtree(folder)
    done = trtkit("infer", "faces.png", "--model", "dct_net", "--backend", "cpu")
    assert done.code == 0, done.err
    assert "official weights" in done.err
    assert "faces by the official detector and its 68 points" in done.err
    assert "heads blended by artifacts/dct_net/alpha.jpg" in done.err
    found = cv2.imread("faces.cartoon.png")[..., ::-1]
    wanted = _by_tensorflow(two_faces, snapshots["dct_net"], tmp_path, tf_python)
    assert np.abs(found.astype(int) - wanted).max() <= 1
    plain = trtkit("infer", "faces.png", "--model", "dct_net", "--backend", "cpu", "--no-faces", "-o", "plain.png")
    assert plain.code == 0, plain.err
    assert "faces" not in (plain.out + plain.err).replace("faces.png", "")
    apart = np.abs(cv2.imread("plain.png")[..., ::-1].astype(int) - found).max(axis=2)
    assert (apart > 8).mean() > 0.05, "heads were drawn"


def test_pulled_face_graphs_without_tensorflow_are_said_with_what_mends_it(
    trtkit, pulled, two_faces, monkeypatch, tf_python
):
    pulled("dct_net")
    monkeypatch.delenv("TRTKIT_TF_PYTHON")
    exported = trtkit("export", "dct_net")
    assert exported.code == 0, exported.err
    said = " ".join(exported.err.split())
    assert "detector.pb was not imported, so faces are found by OpenCV's Haar cascade" in said
    assert "pip install 'trtkit[tf]'" in said
    assert "then run: trtkit export dct_net" in said
    done = trtkit("infer", "faces.png", "--model", "dct_net")
    assert done.code == 0, done.err
    assert (
        "faces by OpenCV's Haar cascade: the official detector.pb and keypoints.pb have not been imported" in done.err
    )
    monkeypatch.setenv("TRTKIT_TF_PYTHON", str(tf_python))
    assert trtkit("export", "dct_net").code == 0
    assert "faces by the official detector" in trtkit("infer", "faces.png", "--model", "dct_net").err
    # Other weights have neither its detector nor its mask.
    embedded = trtkit("infer", "faces.png", "--model", "dct_net", "--weights", "embedded")
    assert embedded.code == 0, embedded.err
    assert "faces by OpenCV's Haar cascade: the embedded weights have no detector of their own" in embedded.err
    assert "heads blended by" not in embedded.err
    assert trtkit("export", "dct_net", "--weights", "embedded").code == 0
    left = {path.name for path in Path("artifacts/dct_net").iterdir()}
    assert not left & {"alpha.jpg", "detector.chain.json", "keypoints.chain.json"}


def test_without_a_snapshot_it_is_the_embedded_weights_and_said(trtkit, picture, monkeypatch, tmp_path):
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "nothing"))
    done = trtkit("infer", "photo.png")
    assert done.code == 0, done.err
    assert "embedded weights; no official snapshot has been pulled" in done.err
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
    assert f"embedded weights; the snapshot in {folder} has not been checked" in done.err
    assert "trtkit pull cv_unet" in done.err


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
    assert "weights of your own" in trtkit("infer", "photo.png").err
