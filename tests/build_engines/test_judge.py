from __future__ import annotations

from pathlib import Path

import pytest

from trtkit.build_engines.judge import judge_engine
from trtkit.errors import CheckFailed, Mistake
from trtkit.manifest import CameOut, MadeFor, MadeOf, MadeWith, Manifest, WeightsRecord


def engine(tool: str = "tensorrt-rtx", kind: str = "engine") -> Manifest:
    return Manifest(
        kind=kind,
        model="cv_unet",
        network="matting",
        precision="fp16",
        made_of=MadeOf(weights=WeightsRecord(kind="embedded", sha256="")),
        made_with=MadeWith(trtkit="0", tool=tool, version="1.7.1.116"),
        made_for=MadeFor(compute_capability="8.6" if kind == "engine" else None),
        came_out=CameOut(sha256="", size=0),
        build_key="",
    )


def test_an_engine_for_this_gpu_and_this_version_passes():
    judge_engine(engine(), "8.6", {"tensorrt-rtx": "1.7.1.116", "tensorrt": "10.16.1.11"})


@pytest.mark.parametrize(
    ("capability", "versions", "found", "mends"),
    [
        (
            "7.5",
            {"tensorrt-rtx": "1.7.1.116"},
            "this machine has sm75 and tensorrt-rtx 1.7.1.116",
            "run: trtkit build cv_unet --gpu sm75 --precision fp16",
        ),
        (
            "8.6",
            {"tensorrt-rtx": "1.6.0.1"},
            "this machine has sm86 and tensorrt-rtx 1.6.0.1",
            "run: trtkit build cv_unet --gpu sm86 --builder tensorrt-rtx --precision fp16",
        ),
        (
            "8.6",
            {"tensorrt": "1.7.1.116"},
            "this machine has sm86 and no tensorrt-rtx",
            "run: pip install 'trtkit[rtx]'",
        ),
        (None, {"tensorrt-rtx": "1.7.1.116"}, "this machine has no NVIDIA GPU", "use --backend cpu here"),
    ],
)
def test_a_mismatch_is_one_sentence_with_the_command_that_mends_it(capability, versions, found, mends):
    with pytest.raises(CheckFailed) as error:
        judge_engine(engine(), capability, versions)
    text = str(error.value)
    assert text.startswith("cv_unet/matting was built for sm86 with tensorrt-rtx 1.7.1.116; ")
    assert found in text
    assert mends in text
    assert "\n" not in text


def test_a_version_compatible_engine_is_built_again_as_one():
    made_with = MadeWith(trtkit="0", tool="tensorrt", version="10.16.1.11", flags={"version_compatible": True})
    compatible = engine("tensorrt").model_copy(update={"made_with": made_with})
    with pytest.raises(CheckFailed, match=r"--builder tensorrt --precision fp16 --version-compatible --out other$"):
        judge_engine(compatible, "8.6", {"tensorrt": "10.9.0.34"}, Path("other"))


def test_a_tensorrt_engine_names_its_own_extra():
    with pytest.raises(CheckFailed, match=r"trtkit\[tensorrt\]"):
        judge_engine(engine("tensorrt"), "8.6", {})


def test_an_onnx_manifest_is_not_judged_as_an_engine():
    with pytest.raises(Mistake, match="of kind 'onnx'"):
        judge_engine(engine(kind="onnx"), "8.6", {})


@pytest.mark.parametrize(
    ("root", "out"),
    [(Path("artifacts"), ""), (Path("elsewhere"), " --out elsewhere"), (Path("my own"), " --out 'my own'")],
)
def test_the_mending_command_makes_the_very_file_that_was_judged(root, out):
    with pytest.raises(CheckFailed) as error:
        judge_engine(engine(), "8.6", {"tensorrt-rtx": "1.6.0.1", "tensorrt": "10.16.1.11"}, root)
    assert str(error.value).endswith(
        f"run: trtkit build cv_unet --gpu sm86 --builder tensorrt-rtx --precision fp16{out}"
    )


def test_for_another_gpu_the_builder_is_the_one_that_serves_it():
    with pytest.raises(CheckFailed, match=r"run: trtkit build cv_unet --gpu sm90 --precision fp16$"):
        judge_engine(engine(), "9.0", {"tensorrt-rtx": "1.7.1.116"})  # which refuses 9.0


def test_the_mending_command_names_the_style():
    styled = engine().model_copy(update={"model": "dct_net", "style": "anime"})
    with pytest.raises(CheckFailed, match=r"run: trtkit build dct_net --style anime --gpu sm75 --precision fp16$"):
        judge_engine(styled, "7.5", {"tensorrt-rtx": "1.7.1.116"})
