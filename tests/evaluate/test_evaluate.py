"""`trtkit evaluate`: what each precision costs and brings, on a small network and the CPU."""

import json

import cv2
import pytest

from trtkit.calib import images, measured
from trtkit.evaluate.run import evaluate

ALL = ["fp32", "fp16", "int8"]


def test_the_three_precisions_stand_side_by_side_with_accuracy_and_speed(calibrated, photographs, trtkit, config_file):
    answer = trtkit(
        "evaluate", "cv_unet", "--images", photographs, "--backend", "cpu", "--artifacts", calibrated.root,
        "--config", config_file,
    )  # fmt: skip
    assert answer.code == 0, answer.err
    header = next(line for line in answer.out.splitlines() if "speed" in line)
    for column in ("precision", "speed, x fp32", "ms a run", "against FP32", "tolerance"):
        assert column in header
    assert "the reference" in answer.out
    assert "in 9 interleaved rounds" in answer.out
    assert "says nothing about a TensorRT engine's" in answer.err
    assert "weights of your own" in answer.err
    assert not any(remark in answer.out for remark in ("note:", "weights of your own"))
    (record,) = measured.read(calibrated.evaluation)
    assert list(record.forms) == ALL
    assert all(form.seconds > 0 for form in record.forms.values())
    assert record.forms["fp32"].figures == {}
    assert 0 <= record.forms["fp16"].figures["mae"] < 0.5
    assert record.forms["int8"].figures["mae"] > record.forms["fp16"].figures["mae"]
    assert (record.backend, record.capability, record.images) == ("cpu", None, 6)
    assert record.int8_over_fp16.least <= record.int8_over_fp16.median <= record.int8_over_fp16.greatest


def test_the_worst_image_is_shown_beside_its_reference(calibrated, photographs):
    found = evaluate(calibrated, ALL, images.from_folder(photographs, 2), backend="cpu")
    worst = found.summaries["int8"]
    assert worst.per_image[worst.worst] == max(worst.per_image.values())
    sheet = cv2.imread(str(calibrated.worst_picture))
    assert sheet is not None
    assert sheet.shape[1] > 3 * sheet.shape[0] // 2
    assert sheet.std() > 5


def test_without_fp32_the_reference_is_the_cpu(calibrated, photographs):
    found = evaluate(calibrated, ["int8"], images.from_folder(photographs, 1), backend="cpu")
    assert found.record.int8_over_fp16 is None
    assert found.summaries["int8"].figures["mae"] > 0
    assert found.reference.startswith("cpu: ")


def test_a_device_has_one_record_and_the_newest(calibrated, photographs):
    for count in (1, 2):
        evaluate(calibrated, ["fp32", "int8"], images.from_folder(photographs, count), backend="cpu")
    assert [record.images for record in measured.read(calibrated.evaluation)] == [2]


def test_a_missing_int8_form_is_a_sentence_with_its_command(calibrated, trtkit, config_file):
    calibrated.scales.unlink()
    answer = trtkit("evaluate", "cv_unet", "--artifacts", calibrated.root, "--config", config_file)
    assert answer.code == 2
    assert "cv_unet/matting has no INT8 scales under" in answer.err
    assert f"make them with: trtkit calibrate cv_unet --images DIR --out {calibrated.root}" in " ".join(
        answer.err.split()
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("fp32,fp8", "--precision fp32,fp8: 'fp8' is not a precision; name some of: fp32, fp16, int8"),
        (" , ", "--precision is empty; name some of: fp32, fp16, int8"),
    ],
)
def test_a_precision_that_is_none_is_a_sentence(calibrated, trtkit, given, sentence):
    answer = trtkit("evaluate", "cv_unet", "--precision", given, "--artifacts", calibrated.root)
    assert (answer.code, answer.err.strip()) == (2, f"trtkit: {sentence}")


def test_a_damaged_record_is_a_sentence(calibrated, photographs, trtkit, config_file):
    calibrated.evaluation.write_text(json.dumps({"schema_version": 1, "records": [{"backend": 3}]}))
    answer = trtkit(
        "evaluate", "cv_unet", "--precision", "fp32,fp16", "--images", photographs, "--backend", "cpu",
        "--artifacts", calibrated.root, "--config", config_file,
    )  # fmt: skip
    assert answer.code == 4
    assert "matting.evaluation.json: records.0." in answer.err
    assert "delete it and run trtkit evaluate again" in answer.err
