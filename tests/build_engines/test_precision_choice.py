"""`build --precision auto` and `--precision int8`: INT8 where figures speak for it, else a sentence why not."""

import pytest

from tests.small_matting import with_int8, write
from trtkit import manifest
from trtkit.build_engines import precision_choice
from trtkit.build_engines.precision_choice import best, enforce_tolerance
from trtkit.calib import measured
from trtkit.calib.run import Wish, calibrate
from trtkit.calib.standing import int8_form
from trtkit.calib.target import Target
from trtkit.config import Config
from trtkit.errors import CheckFailed

GOOD = {"mae": 0.5, "sad_percent": 1.0}


@pytest.fixture
def a10_here(monkeypatch):
    """Stands in for a machine with an A10 in it."""
    monkeypatch.setattr(precision_choice, "local_capabilities", lambda: ("8.6",))


def keep(calibrated, speed=1.5, figures=GOOD, backend="tensorrt-rtx", capability="8.6", onnx_sha256=None):
    """An evaluation of the standing INT8 form, written as `trtkit evaluate` writes it."""
    form = measured.Form(
        onnx_sha256=onnx_sha256 or int8_form(calibrated).came_out.sha256, figures=dict(figures), seconds=0.001
    )
    measured.keep(
        calibrated.evaluation,
        measured.Record(
            backend=backend,
            device="NVIDIA A10",
            capability=capability,
            images=6,
            shape=[1, 128, 128, 3],
            rounds=9,
            forms={"int8": form},
            int8_over_fp16=measured.Speed(median=speed, least=speed, greatest=speed),
        ),
    )


def test_a_gpu_that_is_not_here_gets_fp16_and_hears_why(calibrated):
    keep(calibrated)
    choice = best(calibrated, "a10", "tensorrt-rtx")
    assert choice.precision == "fp16"
    assert choice.sentence == (
        "cv_unet/matting for a10: FP16; INT8 was not measured, since that GPU is not in this machine"
    )


def test_int8_is_taken_where_it_was_measured_faster_and_close_enough(calibrated, a10_here):
    keep(calibrated, speed=1.5)
    choice = best(calibrated, "a10", "tensorrt-rtx")
    assert choice.precision == "int8"
    assert choice.sentence == "cv_unet/matting for a10: INT8, which ran 1.50 x as fast as FP16 on NVIDIA A10"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"speed": 0.97}, "INT8 ran 0.97 x as fast on NVIDIA A10"),
        ({"speed": 1.0}, "INT8 ran 1.00 x as fast on NVIDIA A10"),
        (
            {"figures": {"mae": 2.5, "sad_percent": 6.0}},
            "INT8 has a mean error of 2.50 grey levels (at most 2); a SAD of 6.00 % of all alpha (at most 5 %)",
        ),
        ({"backend": "cuda"}, "INT8 was not measured on tensorrt-rtx here; do that with: trtkit evaluate cv_unet"),
        ({"capability": "8.9"}, "INT8 was not measured on tensorrt-rtx here"),
        ({"onnx_sha256": "0" * 64}, "INT8 was not measured on tensorrt-rtx here"),
    ],
)
def test_else_it_is_fp16_with_the_reason(calibrated, a10_here, record, reason):
    keep(calibrated, **record)
    choice = best(calibrated, "a10", "tensorrt-rtx")
    assert choice.precision == "fp16"
    assert choice.sentence.startswith(f"cv_unet/matting for a10: FP16; {reason}")


def test_the_command_that_measures_reads_the_same_folder(calibrated, a10_here):
    sentence = best(calibrated, "a10", "tensorrt-rtx").sentence
    assert sentence.endswith(
        f" --precision fp16,int8 --backend tensorrt-rtx --images DIR --artifacts {calibrated.root}"
    )


def test_without_scales_it_is_fp16_with_the_command(calibrated, a10_here):
    calibrated.scales.unlink()
    choice = best(calibrated, "a10", "tensorrt-rtx")
    assert choice.precision == "fp16"
    assert "make them with: trtkit calibrate cv_unet --images DIR" in choice.sentence


def test_a_loss_past_the_tolerance_stops_a_build_unless_it_is_accepted(calibrated, small_config):
    enforce_tolerance(calibrated, accept_loss=False)
    strict = Target(calibrated.model, calibrated.spec, calibrated.root, with_int8(small_config, sad_percent=1e-6))
    with pytest.raises(CheckFailed, match=r"a SAD of .* \(at most 1e-06 %\), as engines\.yaml says; .*--accept-loss"):
        enforce_tolerance(strict, accept_loss=False)
    enforce_tolerance(strict, accept_loss=True)


def test_what_evaluate_found_counts_before_the_calibration_s_own_check(calibrated):
    keep(calibrated, figures={"mae": 9.0, "sad_percent": 1.0})
    with pytest.raises(CheckFailed, match=r"a mean error of 9\.00 grey levels \(at most 2\)"):
        enforce_tolerance(calibrated, accept_loss=False)


def test_an_evaluation_without_int8_does_not_lift_the_gate(calibrated):
    keep(calibrated, figures={"mae": 9.0, "sad_percent": 1.0})
    (record,) = measured.read(calibrated.evaluation)
    other = measured.Form(onnx_sha256="0" * 64, figures={"mae": 0.1}, seconds=0.001)
    without = record.model_copy(update={"forms": {"fp32": other, "fp16": other}, "int8_over_fp16": None})
    measured.keep(calibrated.evaluation, without)
    with pytest.raises(CheckFailed, match=r"a mean error of 9\.00 grey levels \(at most 2\)"):
        enforce_tolerance(calibrated, accept_loss=False)


def test_build_int8_without_scales_names_the_command(calibrated, config_file, trtkit):
    calibrated.scales.unlink()
    answer = trtkit(
        "build", "cv_unet", "--gpu", "a10", "--precision", "int8", "--out", calibrated.root, "--config", config_file
    )
    assert answer.code == 2
    said = " ".join(answer.err.split())
    assert "cv_unet/matting has no INT8 scales under" in said
    assert f"make them with: trtkit calibrate cv_unet --images DIR --out {calibrated.root}" in said


def test_build_int8_past_its_tolerance_fails_and_builds_when_the_loss_is_accepted(
    calibrated,
    small_config,
    trtkit,
    tmp_path,
):
    pytest.importorskip("tensorrt_rtx_bindings")
    strict = write(tmp_path / "strict.yaml", with_int8(small_config, sad_percent=1e-6))
    command = ("build", "cv_unet", "--gpu", "a10", "--precision", "int8", "--out", calibrated.root, "--config", strict)
    refused = trtkit(*command)
    assert refused.code == 4
    assert "--accept-loss" in refused.err
    assert not list(calibrated.root.rglob("*.engine"))
    accepted = trtkit(*command, "--accept-loss")
    assert accepted.code == 0, accepted.err
    assert (calibrated.root / "cv_unet" / "matting.int8.sm86.tensorrt-rtx.engine").is_file()


def test_what_was_left_in_fp16_on_request_is_built(calibrated, photographs, config_file, trtkit):
    """As the sentence above advises: two of nine convolutions fewer are less than four fifths of all."""
    pytest.importorskip("tensorrt_rtx_bindings")
    calibrate(calibrated, Wish(photographs, limit=2, keep_worst=2))
    answer = trtkit(
        "build", "cv_unet", "--gpu", "a10", "--precision", "int8", "--out", calibrated.root, "--config", config_file
    )
    assert answer.code == 0, answer.err
    share = manifest.read(
        calibrated.root / "cv_unet" / "matting.int8.sm86.tensorrt-rtx.engine"
    ).came_out.precision_share
    assert share.int8 < 0.8 * share.compute_layers


def test_what_engines_yaml_keeps_in_fp32_is_built(calibrated, small_config, tmp_path, trtkit):
    """As the sentence about an overflow advises: two of eleven convolutions are more than a tenth."""
    pytest.importorskip("tensorrt_rtx_bindings")
    raw = small_config.model_dump(by_alias=True)
    raw["models"]["cv_unet"]["networks"]["matting"]["keep_fp32"] = ["unet.encoder.0"]
    kept = write(tmp_path / "kept.yaml", Config.model_validate(raw))
    command = ("build", "cv_unet", "--gpu", "a10", "--precision", "fp16", "--out", calibrated.root)
    answer = trtkit(*command, "--config", kept)
    assert answer.code == 0, answer.err
    share = manifest.read(
        calibrated.root / "cv_unet" / "matting.fp16.sm86.tensorrt-rtx.engine"
    ).came_out.precision_share
    assert share.half < 0.9 * share.compute_layers


def test_build_auto_says_what_it_chose(calibrated, config_file, trtkit):
    pytest.importorskip("tensorrt_rtx_bindings")
    answer = trtkit(
        "build", "cv_unet", "--gpu", "a10", "--precision", "auto", "--out", calibrated.root, "--config", config_file
    )
    assert answer.code == 0, answer.err
    said = " ".join(answer.err.split())
    assert "cv_unet/matting for a10: FP16; INT8 was not measured, since that GPU is not in this machine" in said
    assert (calibrated.root / "cv_unet" / "matting.fp16.sm86.tensorrt-rtx.engine").is_file()
