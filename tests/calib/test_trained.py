"""INT8 on trained weights: the embedded networks, and another's cartoon weights in the official form where present."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from training.cv_unet.int8 import judge
from trtkit import config as configuration
from trtkit import models
from trtkit.build_engines.precision_share import MIN_INT8_SHARE
from trtkit.build_engines.run import build_engines
from trtkit.calib import accuracy, drawing, images
from trtkit.calib.run import Wish, calibrate
from trtkit.calib.target import Target
from trtkit.config import Config
from trtkit.runtime.cpu import CpuBackend

GPUS = ["t4", "a10", "l4"]


@pytest.fixture(scope="module", autouse=True)
def drawn_once():
    """The drawn portraits are those of every calibration here: each is drawn by the real thing, once."""

    @functools.cache
    def portrait(number: int) -> np.ndarray:
        picture = drawn(number)
        picture.flags.writeable = False
        return picture

    drawn = drawing.portrait
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "portrait", portrait)
        yield


def _at(model: str, network: str, side: int) -> Config:
    """The package's settings with the network's first profile tuned for pictures of that side."""
    raw = configuration.load().model_dump(by_alias=True)
    settings = raw["models"][model]["networks"][network]
    settings["profiles"][0]["image"]["opt"] = [1, side, side, 3]
    return Config.model_validate(raw)


def _target(model: str, network: str, root: Path, side: int) -> Target:
    chosen = models.get(model)
    return Target(chosen, chosen.network(network), root, _at(model, network, side))


def _against_fp32(target: Target, pictures: list[np.ndarray], side: int) -> dict[str, float]:
    output = target.spec.outputs[0]
    rows = {}
    with CpuBackend(target.exact.path) as fp32, CpuBackend(target.onnx("int8")) as int8:
        for number, picture in enumerate(pictures):
            arrays = target.model.sample_inputs(target.spec.name, [picture], (side, side))
            rows[str(number)] = accuracy.figures(output, fp32.run(arrays)[output.name], int8.run(arrays)[output.name])
    return accuracy.summary(rows).figures


@pytest.fixture(scope="module")
def matting(tmp_path_factory) -> Target:
    target = _target("cv_unet", "matting", tmp_path_factory.mktemp("matting"), 512)
    done = calibrate(target, Wish())
    assert done.scales.image_source == "drawn"
    assert done.excesses == []
    return target


def test_200_held_out_portraits_keep_their_alpha(matting):
    cost = judge(matting.root, 200, 128)
    assert cost.summary.figures["mae"] <= 2
    assert cost.summary.figures["sad_percent"] <= 5
    assert abs(cost.sad_change) <= 0.05


@pytest.mark.parametrize("side", [256, 512])
def test_the_astronaut_keeps_her_alpha(matting, side):
    figures = _against_fp32(matting, [data.astronaut()], side)
    assert figures["mae"] <= 2
    assert figures["sad_percent"] <= 5


def _cartoon(network: str, tmp_path_factory) -> Target:
    target = _target("dct_net", network, tmp_path_factory.mktemp(network), 288)
    assert calibrate(target, Wish()).excesses == []
    return target


@pytest.fixture(scope="module")
def background(tmp_path_factory) -> Target:
    return _cartoon("background", tmp_path_factory)


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Target:
    return _cartoon("head", tmp_path_factory)


@pytest.mark.parametrize("network", ["background", "head"])
def test_cartoons_of_the_embedded_weights_keep_35_db(network, request):
    pictures = [data.astronaut(), data.coffee(), data.chelsea()]
    assert _against_fp32(request.getfixturevalue(network), pictures, 288)["psnr"] >= 35


@pytest.mark.parametrize("network", ["background", "head"])
def test_cartoons_of_anothers_weights_keep_35_db(network, tmp_path, real_cartoons):
    target = _target("dct_net", network, shutil.copytree(real_cartoons, tmp_path / "artifacts"), 288)
    folder = tmp_path / "drawn"
    folder.mkdir()
    for number in range(12):
        Image.fromarray(drawing.portrait(number)).save(folder / f"{number}.png")
    done = calibrate(target, Wish(folder))
    assert done.excesses == []
    assert len(done.manifest.made_with.flags["int8"]) == 16
    assert _against_fp32(target, [data.astronaut(), data.coffee(), data.chelsea()], 288)["psnr"] >= 35


@pytest.mark.parametrize("which", ["matting", "background", "head"])
def test_engines_for_three_generations_are_int8(which, request):
    pytest.importorskip("tensorrt_rtx_bindings")
    target = request.getfixturevalue(which)
    outcomes = build_engines(
        model=target.model.name,
        network=target.spec.name,
        precision="int8",
        gpu_names=GPUS,
        onnx=target.onnx("int8"),
        config=target.config,
        root=target.root,
    )
    capabilities = [outcome.manifest.made_for.compute_capability for outcome in outcomes if outcome.manifest]
    assert capabilities == ["7.5", "8.6", "8.9"]
    for outcome in outcomes:
        assert outcome.manifest is not None
        share = outcome.manifest.came_out.precision_share
        assert share is not None
        assert share.int8 >= MIN_INT8_SHARE * share.compute_layers
        assert outcome.manifest.made_of.calibration_sha256 is not None


def test_the_drawn_set_is_not_what_it_is_judged_on():
    assert not set(images.drawn(None).hashes.values()) & set(images.shipped().hashes.values())
