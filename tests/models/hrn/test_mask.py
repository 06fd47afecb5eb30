"""The official face mask, a graph beside the networks: imported, its networks built and run like the others."""

import cv2
import numpy as np
import pytest

from tests import tensorflow_environment
from tests.export.frozen.conftest import write_graphs
from trtkit import config, models
from trtkit.errors import MissingComponent, Mistake
from trtkit.export import beside
from trtkit.export.choose import FILE, OFFICIAL, Chosen
from trtkit.export.frozen.tensorflow_python import TensorFlow
from trtkit.export.run import ensure
from trtkit.models.hrn import mask, opening
from trtkit.models.hrn.options import Options
from trtkit.models.imported.chain_file import name_of
from trtkit.models.imported.model import in_use
from trtkit.models.spec import Around
from trtkit.runtime import select


@pytest.fixture(scope="module")
def tf_python():
    return tensorflow_environment.python()


@pytest.fixture(scope="module")
def crops(portrait_pixels):
    """uint8 [2, 224, 224, 3]."""
    whole = cv2.resize(portrait_pixels, (224, 224), interpolation=cv2.INTER_AREA)
    return np.stack([whole, portrait_pixels[60:284, 120:344]])


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory, tf_python, crops):
    folder = tmp_path_factory.mktemp("snapshot")
    write_graphs(tf_python, crops[0], {folder / "segment_face.pb": {"structure": "mask", "norm": False}}, folder)
    return folder


def _import(snapshot, root, tf_python):
    model = models.get("hrn")
    found, notes = beside.bring(model, Chosen(FILE, snapshot, ""), root / "hrn", None, False, tf_python)
    return (found[0] if found else None), notes


@pytest.fixture(scope="module")
def imported(tmp_path_factory, snapshot, tf_python):
    root = tmp_path_factory.mktemp("artifacts")
    done, notes = _import(snapshot, root, tf_python)
    assert notes == ()
    assert done.chain == root / "hrn" / "segment_face.chain.json"
    return root


def test_masks_are_tensorflows_and_all_faces_go_at_once(imported, snapshot, crops, tf_python, monkeypatch):
    model, settings = in_use("hrn", None, imported, config.load(), FILE, snapshot)
    names = [network.name for network in model.networks[8:]]
    assert names == ["segment_face_core"]
    own = model.networks_for({"output": "coeffs"})
    assert not {network.name for network in own} & set(names), "numbers need no mask"
    needed = model.networks_for({"output": "uv"})
    assert [network.name for network in needed if network.name in names] == names
    seen = []
    loaded = {
        name: _Spy(select.load(model, model.network(name), imported, "cpu", config=settings).backend, seen)
        for name in names
    }
    monkeypatch.setattr(opening, "open_pipeline", lambda networks, options, limit, around: around)
    around = model.open_pipeline(loaded, {}, 1.0)
    assert (around.kind, around.folder) == (FILE, snapshot)
    found = mask.by_graph(around.chains["segment_face"])(crops)
    feeds = [{"input_image": crop.astype(np.float32)} for crop in crops]
    with TensorFlow(str(tf_python)) as tensorflow:
        wanted = tensorflow.run(snapshot / "segment_face.pb", feeds, ["output_alpha"], [])
    assert found.shape == (2, 224, 224)
    assert found.std() > 0.01
    for one, reference in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one * 255, reference["output_alpha"], atol=0.5)
    assert seen == [2], "both faces in one run"


class _Spy:
    def __init__(self, backend, seen):
        self._backend, self._seen = backend, seen
        self.profiles, self.outputs = backend.profiles, backend.outputs

    def run(self, arrays):
        self._seen.append(len(next(iter(arrays.values()))))
        return self._backend.run(arrays)


def test_its_networks_have_fp16_forms_like_the_others(imported, snapshot):
    model, settings = in_use("hrn", None, imported, config.load(), FILE, snapshot)
    for network in model.networks[8:]:
        made = ensure(model, network, "fp16", imported, settings)
        assert made.manifest.came_out.checks["against_fp32"]


def test_the_mask_of_other_weights_is_not_used(imported):
    model, _ = in_use("hrn", None, imported, config.load(), OFFICIAL)
    assert len(model.networks) == 8


def test_inspect_tells_the_chain(imported, trtkit):
    shown = trtkit("inspect", imported / "hrn" / "segment_face.chain.json")
    assert shown.code == 0, shown.err
    assert "segment_face_core" in shown.out


def test_without_tensorflow_it_is_said_and_not_an_error(snapshot, tmp_path, monkeypatch):
    monkeypatch.delenv("TRTKIT_TF_PYTHON", raising=False)
    done, notes = _import(snapshot, tmp_path, None)
    assert done is None
    assert notes[0].startswith("segment_face.pb was not imported, so hair and hands over the face are taken for skin:")
    assert "trtkit[tf]" in notes[0]
    with pytest.raises((MissingComponent, Mistake), match="gone"):
        _import(snapshot, tmp_path, tmp_path / "gone")


def test_a_folder_without_the_graph_is_said(tmp_path, imported, snapshot, tf_python):
    left = tmp_path / "hrn" / name_of("segment_face")
    left.parent.mkdir()
    left.write_text("{}")
    done, notes = _import(tmp_path, tmp_path, None)
    assert done is None
    assert "holds no segment_face.pb, so hair and hands over the face are taken for skin" in notes[0]
    assert not left.exists(), "a mask of weights that are gone is none"


def test_face_model_is_looked_for_beside_the_weights_then_in_the_snapshot(synthetic_assets, tmp_path, monkeypatch):
    assert opening.find_assets(Options(), Around()).model.synthetic
    beside = opening.find_assets(Options(), Around(FILE, synthetic_assets.parent))
    assert len(beside.model.uvs) == 3705
    with pytest.raises(MissingComponent) as missing:
        opening.find_assets(Options(), Around(FILE, tmp_path))
    for name in ("BFM_model_front.mat", "bfm_texmap_base2.npy", "BBRegressorParam_r.mat"):
        assert name in str(missing.value)
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))
    with pytest.raises(MissingComponent) as missing:
        opening.find_assets(Options(), Around(OFFICIAL, None))
    for words in (
        "the face model of 3D Face HRN is missing: BFM_model_front.mat, bfm_uvs2.npy",
        "iic/cv_resnet50_face-reconstruction, revision v2.0.0-HRN on modelscope.cn",
        "for research, under its own licence from the University of Basel",
        "trtkit pull hrn",
        "--assets DIR",
    ):
        assert words in str(missing.value)
    named = opening.find_assets(Options(assets=str(synthetic_assets)), Around(OFFICIAL, None))
    assert named.model.synthetic
