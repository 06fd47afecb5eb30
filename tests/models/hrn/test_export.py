"""HRN's networks through export and evaluate: compared by shares of their largest value, and refused past them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.models.hrn.random_weights import random_state
from trtkit import config, models
from trtkit.calib.standing import check_quantized
from trtkit.calib.target import Target
from trtkit.errors import CheckFailed, Mistake
from trtkit.export import run
from trtkit.export.run import export
from trtkit.models.hrn.networks.pix2pix import ResidualGenerator
from trtkit.runtime.cpu import CpuBackend


@pytest.fixture(scope="module")
def hrn():
    return models.get("hrn")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """mid_net, four channels wide."""
    folder = tmp_path_factory.mktemp("weights")
    state = random_state(ResidualGenerator(6, 3, 4).state_dict())
    torch.save({"mid_net": state, "alpha": torch.tensor([0.01])}, folder / "pytorch_model.pt")
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory, hrn, weights):
    root = tmp_path_factory.mktemp("artifacts")
    return export(hrn, hrn.network("mid_net"), "fp16", root, config.load(), weights)


def test_figures_are_shares_of_the_largest_value_and_say_so(exported, hrn):
    checks = exported.manifest.came_out.checks
    assert checks["unit"] == "of the largest value"
    assert set(checks["against_fp32"]) == {"1x64x64", "3x64x64"}
    worst = max(figures["mean"] for figures in checks["against_fp32"].values())
    # Offsets of a thousandth: in their own units nothing could be seen.
    assert 1e-5 < worst < checks["tolerance_mean"] == 0.005


def test_batches_of_any_size_run_and_none_depends_on_another(exported, hrn):
    maps = np.random.default_rng(0).normal(size=(5, 6, 64, 64)).astype(np.float32)
    with CpuBackend(exported.path.with_name("mid_net.fp32.onnx")) as backend:
        together = backend.run({"maps": maps})["deformation"]
        alone = [backend.run({"maps": one[None]})["deformation"] for one in maps]
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=1e-4, atol=1e-7)


def test_past_the_tolerance_nothing_is_kept(hrn, weights, tmp_path):
    strict = replace(hrn.network("mid_net"), parity=1e-9)
    with pytest.raises(CheckFailed, match=r"hrn/mid_net differs from its source network by \S+ of the largest value"):
        export(hrn, strict, "fp32", tmp_path, config.load(), weights)
    assert not list(tmp_path.rglob("*.onnx"))


def test_half_past_the_tolerance_is_refused(hrn, exported, tmp_path):
    settings = config.load()
    shutil.copytree(exported.path.parent, tmp_path / "hrn", ignore=shutil.ignore_patterns("*.fp16.*"))
    settings.models["hrn"].networks["mid_net"].tolerance["fp16"] = 1e-6
    with pytest.raises(CheckFailed, match=r"FP16 form of hrn/mid_net differs from FP32 by \S+ of the largest value"):
        run.ensure(hrn, hrn.network("mid_net"), "fp16", tmp_path, settings)
    assert not list(tmp_path.rglob("*.fp16.*"))


def test_int8_is_refused_as_engines_yaml_has_it(hrn, exported):
    target = Target(hrn, hrn.network("mid_net"), exported.path.parents[1], config.load())
    with pytest.raises(Mistake, match=r"hrn/mid_net has no INT8 form, since engines\.yaml states fp16 alone"):
        check_quantized(target)
