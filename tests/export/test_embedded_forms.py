"""The networks in the package under a folder that an older trtkit left, and what a folder of photographs is."""

import json
import sys

import pytest

from trtkit import artifacts, config, manifest, models
from trtkit.errors import CheckFailed
from trtkit.export import run
from trtkit.export.photographs import photographs

MODEL = models.get("cv_unet")
SPEC = MODEL.network("matting")


@pytest.mark.parametrize("change", [("made_with", "flags", "form"), ("made_of", "weights", "sha256")])
def test_an_embedded_network_of_another_form_or_other_weights_is_unpacked_again(tmp_path, change):
    first = run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load())
    assert not run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load()).made
    sidecar = manifest.path_of(first.path)
    raw = json.loads(sidecar.read_text())
    part, inner, key = change
    raw[part][inner][key] = 0 if key == "form" else "0" * 64
    sidecar.write_text(json.dumps(raw))
    again = run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load())
    assert (again.made, again.manifest) == (True, first.manifest)


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_embedded_network_is_unpacked_again_without_torch_and_said(trtkit, in_empty_folder, monkeypatch):
    for library in ("torch", "onnxscript"):
        monkeypatch.setitem(sys.modules, library, None)
    command = ("build", "cv_unet", "--gpu", "h200", "--precision", "fp32")  # for which the ONNX file itself serves
    first = trtkit(*command)
    assert first.code == 0, first.err
    assert "unpacked" not in first.err
    path = artifacts.onnx_path(artifacts.DEFAULT_ROOT, "cv_unet", "matting", "fp32")
    whole = path.read_bytes()
    _flip(path)
    answer = trtkit(*command)
    assert answer.code == 0, answer.err
    said = f"note: {path} was damaged or of another trtkit, so it was unpacked from the package again"
    assert said in answer.err.splitlines()
    assert path.read_bytes() == whole
    assert "unpacked" not in trtkit(*command).err


def test_a_damaged_manifest_of_the_embedded_network_heals_too(tmp_path):
    first = run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load())
    manifest.path_of(first.path).write_text("{")
    again = run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load())
    assert (again.made, again.manifest) == (True, first.manifest)


def test_damaged_weights_of_the_user_s_own_are_not_replaced(tmp_path):
    """The package's in their place would be another network."""
    first = run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load())
    sidecar = manifest.path_of(first.path)
    raw = json.loads(sidecar.read_text())
    raw["made_of"]["weights"]["kind"] = "file"
    sidecar.write_text(json.dumps(raw))
    _flip(first.path)
    damaged = first.path.read_bytes()
    with pytest.raises(CheckFailed, match=r"damaged or swapped\); make it again with: trtkit export cv_unet"):
        run.ensure(MODEL, SPEC, "fp32", tmp_path, config.load())
    assert first.path.read_bytes() == damaged


def test_a_folder_called_like_a_photograph_is_none(tmp_path, portrait):
    (tmp_path / "a.jpg").mkdir()
    (tmp_path / "b.jpg").write_bytes(portrait.read_bytes())
    assert len(photographs(tmp_path)) == 1
