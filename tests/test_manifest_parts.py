"""Manifests that are whole JSON, and lack what a verb reads of their free-form parts: a sentence, or made again."""

import json
import shutil

import pytest

from trtkit import manifest
from trtkit.calib.run import Wish, calibrate
from trtkit.calib.standing import int8_form
from trtkit.errors import CheckFailed
from trtkit.export.run import ensure


def change(artifact, part, key, value):
    sidecar = manifest.path_of(artifact)
    raw = json.loads(sidecar.read_text())
    raw[part][key] = value
    sidecar.write_text(json.dumps(raw))


INT8 = [
    ("came_out", "checks", {}, "key 'came_out.checks.against_fp32' is missing"),
    ("came_out", "checks", {"against_fp32": {}}, "key 'came_out.checks.against_fp32.mae' is missing"),
    ("came_out", "checks", {"against_fp32": {"mae": "0.1"}}, "key 'came_out.checks.against_fp32.mae': input should be"),
    ("came_out", "checks", {"against_fp32": {"mae": 0.1}}, "key 'came_out.checks.against_fp32': neither an alpha's"),
    ("made_with", "flags", {}, "key 'made_with.flags.int8' is missing"),
    ("made_with", "flags", {"int8": [], "fp16": [], "method": 5}, "key 'made_with.flags.method': input should be a"),
    ("made_with", "flags", {"int8": [], "fp16": [], "worst": 3}, "key 'made_with.flags.worst': input should be a"),
]


@pytest.mark.parametrize(("part", "key", "value", "said"), INT8)
def test_an_int8_form_whose_manifest_lacks_something_is_not_built(
    calibrated, config_file, trtkit, part, key, value, said
):
    change(calibrated.onnx("int8"), part, key, value)
    out = calibrated.root
    answer = trtkit("build", "cv_unet", "--gpu", "a10", "--precision", "int8", "--out", out, "--config", config_file)
    assert answer.code == 4
    sentence = answer.err.splitlines()[-1]
    assert sentence.startswith(f"trtkit: {manifest.path_of(calibrated.onnx('int8'))}: {said}")
    assert "; make it again with: trtkit calibrate cv_unet --images DIR" in sentence
    assert sentence.endswith(f" --out {out}")


@pytest.mark.parametrize(("part", "key"), [("came_out", "checks"), ("made_with", "flags")])
def test_a_calibration_makes_such_a_form_again(calibrated, photographs, part, key):
    before = manifest.read(calibrated.onnx("int8"))
    change(calibrated.onnx("int8"), part, key, {})
    calibrate(calibrated, Wish(photographs, limit=2))
    assert int8_form(calibrated) == before


@pytest.mark.parametrize("checks", [{}, {"against_fp32": {}, "rounded_to_half": {"mean": 0.0, "max": 0.0}}])
def test_an_fp16_form_whose_manifest_lacks_its_figures_is_derived_again(calibrated, checks):
    path = calibrated.onnx("fp16")
    before = manifest.read(path)
    change(path, "came_out", "checks", checks)
    with pytest.raises(
        CheckFailed, match=r"fp16\.onnx\.json: key 'came_out\.checks\.against_fp32'.*trtkit export cv_unet"
    ):
        manifest.read(path)
    again = ensure(calibrated.model, calibrated.spec, "fp16", calibrated.root, calibrated.config)
    assert (again.made, again.manifest) == (True, before)


def test_an_engine_s_profile_without_its_optimum_is_a_sentence(built_matting, tmp_path, trtkit):
    root = shutil.copytree(built_matting / "artifacts", tmp_path / "art")
    engine = root / "cv_unet" / "matting.fp16.sm86.tensorrt-rtx.engine"
    change(engine, "made_for", "profiles", [{"image": {"min": [1, 64, 64, 3], "max": [1, 64, 64, 3]}}])
    command = f"trtkit build cv_unet --gpu sm86 --builder tensorrt-rtx --precision fp16 --force --out {root}"
    sentence = f"{engine}.json: key 'made_for.profiles.0.image.opt' is missing; make it again with: {command}"
    inspected = trtkit("inspect", engine)
    assert (inspected.code, inspected.err) == (4, f"trtkit: {sentence}\n")
    assert f"failed  {sentence}" in trtkit("verify", root).out
