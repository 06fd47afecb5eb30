"""build, inspect, verify, models, doctor: through the command line, on real TensorRT-RTX engines."""

import json
import shutil

import pytest

from trtkit import models
from trtkit.report import doctor
from trtkit.report.doctor import conflicts

pytest.importorskip("tensorrt_rtx_bindings")


@pytest.fixture
def engines(built_matting):
    """A folder of artifacts with cv_unet's engine for 8.6."""
    return built_matting / "artifacts"


@pytest.fixture
def with_forms(in_empty_folder, engines):
    """An empty folder, but for cv_unet's FP32 and FP16 ONNX under artifacts/: what is left to make is engines."""
    forms = in_empty_folder / "artifacts" / "cv_unet"
    forms.mkdir(parents=True)
    for path in (engines / "cv_unet").glob("*.onnx*"):
        shutil.copy(path, forms)
    return in_empty_folder


def test_build_serves_four_gpus_from_three_verified_files_and_then_does_nothing(trtkit, with_forms):
    gpus = ("--gpu", "a10", "--gpu", "t4", "--gpu", "l4", "--gpu", "rtx4090")
    first = trtkit("build", "cv_unet", *gpus)
    assert first.code == 0, first.err
    assert "4 rows, 3 files" in first.out
    assert first.out.count("27/27") == 4
    files = sorted(path.name for path in (with_forms / "artifacts" / "cv_unet").glob("*.engine"))
    assert files == [f"matting.fp16.sm{sm}.tensorrt-rtx.engine" for sm in (75, 86, 89)]
    stamps = {path: path.stat().st_mtime_ns for path in (with_forms / "artifacts").rglob("*.engine")}
    again = trtkit("build", "cv_unet", *gpus)
    assert again.out.count("up to date") == 4
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    verified = trtkit("verify", "artifacts")
    assert verified.code == 0
    assert verified.out.count("ok ") == 5


def test_gpus_without_a_builder_are_told_once_what_serves_them(trtkit, in_empty_folder):
    answer = trtkit("build", "dct_net", "--gpu", "v100", "--gpu", "h200")
    assert answer.code == 0
    assert answer.out.count("served by onnxruntime") == 4
    assert answer.err.count("v100 (NVIDIA V100) is served by the ONNX file itself on onnxruntime-gpu") == 1
    assert answer.err.count("h200 (NVIDIA H200) is served by the ONNX file itself on onnxruntime-gpu") == 1
    assert (in_empty_folder / "artifacts" / "dct_net" / "background.fp16.onnx").is_file()


def test_the_summary_is_a_markdown_table(trtkit, with_forms):
    assert trtkit("build", "cv_unet", "--gpu", "a10", "--summary", "s.md").code == 0
    lines = (with_forms / "s.md").read_text().splitlines()
    assert lines[0].startswith("| network | GPU | cc | state | file |")
    assert "matting.fp16.sm86.tensorrt-rtx.engine" in lines[2]


def test_fp32_is_built_as_fp32(trtkit, in_empty_folder):
    answer = trtkit("build", "cv_unet", "--gpu", "a10", "--precision", "fp32")
    assert answer.code == 0, answer.err
    assert "0/27" in answer.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("build", "cv_unet"), "--gpu is missing; name one or more of: t4, "),
        (("build", "cv_unet", "--gpu", "a11"), "--gpu a11 is not known; known GPUs: t4, "),
        (("build", "nobody", "--gpu", "a10"), "model 'nobody' is not known"),
        (("build", "cv_unet", "--gpu", "a10", "--precision", "fp8"), "'fp8' is not one of"),
        (("inspect", "gone.engine"), "gone.engine does not exist"),
        (("verify", "."), "holds no artifacts"),
    ],
)
def test_a_users_mistake_is_one_sentence_with_exit_code_2(trtkit, in_empty_folder, arguments, sentence):
    answer = trtkit(*arguments)
    assert answer.code == 2
    assert sentence in " ".join(answer.err.replace("│", " ").split())


def test_inspect_says_what_an_engine_is_from_what_and_for_what(trtkit, engines):
    answer = trtkit("inspect", engines / "cv_unet" / "matting.fp16.sm86.tensorrt-rtx.engine")
    assert answer.code == 0
    for fact in (
        "engine of cv_unet/matting in fp16",
        "embedded",
        "tensorrt-rtx 1.",
        "compute capability 8.6",
        "image: min 1x256x256x3, opt 1x512x512x3, max 8x512x512x3",
        "27 Half and 0 Int8 of 27 compute layers (counted in the network)",
        "against fp32",
        "executed",
    ):
        assert fact in answer.out


@pytest.mark.parametrize("damage", ["truncate", "flip", "swap", "manifest"])
def test_verify_finds_what_is_no_longer_what_it_was(trtkit, engines, tmp_path, damage):
    source = engines / "cv_unet" / "matting.fp16.sm86.tensorrt-rtx.engine"
    target = tmp_path / source.name
    content = bytearray(source.read_bytes())
    sidecar = json.loads(source.with_name(source.name + ".json").read_text())
    if damage == "truncate":
        del content[-1:]
    elif damage == "flip":
        content[len(content) // 2] ^= 4
    elif damage == "swap":
        content = bytearray((engines / "cv_unet" / "matting.fp16.onnx").read_bytes())
    else:
        sidecar["came_out"]["sha256"] = "0" * 64
    target.write_bytes(content)
    target.with_name(target.name + ".json").write_text(json.dumps(sidecar))
    answer = trtkit("verify", tmp_path)
    assert answer.code == 4
    assert answer.out.count("failed") == 1
    assert "trtkit build cv_unet --gpu sm86 --builder tensorrt-rtx --precision fp16 --force" in answer.out


def test_models_lists_every_model_and_gpu(trtkit, in_empty_folder):
    answer = trtkit("models")
    assert answer.code == 0
    for name in (*models.NAMES, "weights in the package", "rtx5090", "12.0", "tensorrt-rtx"):
        assert name in answer.out
    for name in models.NAMES:
        assert f"trtkit pull {name}" in answer.out
    assert "untrained" not in answer.out


def test_doctor_names_the_extra_of_what_is_absent(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "trimesh" else "1.0")
    absent = [one for one in doctor._packages() if one.state == "absent"]
    assert [(one.subject, one.mend) for one in absent] == [("trimesh", "pip install 'trtkit[hrn]'")]


def test_doctor_tells_what_is_here_and_mends_what_is_not(trtkit, in_empty_folder):
    answer = trtkit("doctor")
    assert answer.code == 0
    assert "onnxruntime" in answer.out
    assert "pip install 'trtkit[tensorrt]'" in answer.out
    assert answer.out.endswith("nothing is broken; what is absent can wait until you want it\n")


def test_doctor_says_what_every_absent_part_is_for(monkeypatch):
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    assert all(one.detail for one in doctor._packages())


def test_two_onnxruntimes_in_one_environment_are_broken_and_mended():
    assert conflicts("1.31.1", None) == []
    (finding,) = conflicts("1.31.1", "1.31.1")
    assert finding.state == "broken"
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in finding.mend
