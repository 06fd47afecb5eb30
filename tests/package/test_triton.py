"""`trtkit package triton`: what is in the package, what is refused, and that it is whole or not there."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tests import triton_environment
from trtkit import config, models
from trtkit.models.hrn.specs import RETINAFACE
from trtkit.package import folder, sources, triton
from trtkit.package.shapes import shares

from .conftest import VERSION

READER = Path(__file__).parent / "read_configs.py"
RECORD = b'{"schema_version": 1, "trtkit": "0", "files": {}}'
"""What marks a folder as a package."""


@pytest.fixture
def packaged(tmp_path, trtkit):
    """packaged(*arguments) runs the command on this test's artifacts; gives (answer, folder of the package)."""

    def run(*arguments: object):
        out = tmp_path / "out"
        return trtkit("package", "triton", *arguments, "--artifacts", tmp_path / "artifacts", "--out", out), out

    return run


def configs(out: Path) -> dict[str, dict]:
    """Every config.pbtxt below `out`, read by Triton's own definition: 'tensorrt/cv_unet' → message."""
    paths = sorted(out.rglob("config.pbtxt"))
    done = subprocess.run(
        [triton_environment.python(), READER, *paths], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return {str(Path(path).parent.relative_to(out)): message for path, message in json.loads(done.stdout).items()}


def test_without_engines_there_is_the_onnx_for_every_gpu(packaged):
    answer, out = packaged("cv_unet")
    assert answer.code == 0, answer.err
    assert f"no engines: GPUs serve from {out / 'onnxruntime'}" in " ".join(answer.out.split())
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "onnxruntime", "package.json"]
    (network, pipeline) = sorted(configs(out).items(), reverse=True)
    assert network[0] == "onnxruntime/cv_unet_matting"
    assert (network[1]["backend"], network[1]["max_batch_size"]) == ("onnxruntime", 8)
    assert "cc_model_filenames" not in network[1]
    assert pipeline[1]["backend"] == "python"
    onnx = out / "onnxruntime" / "cv_unet_matting" / "1" / "model.onnx"
    assert onnx.read_bytes() == models.get("cv_unet").embedded_onnx("matting").read_bytes()
    assert "no engine here asks for a certain TensorRT" in (out / "README.md").read_text()


def test_engines_are_chosen_by_compute_capability_without_a_default(packaged, engine):
    engines = {capability: engine(capability) for capability in ("8.6", "12.0", "7.5")}
    answer, out = packaged("cv_unet")
    assert answer.code == 0, answer.err
    found = configs(out)
    message = found["tensorrt/cv_unet_matting"]
    assert message["cc_model_filenames"] == {
        "7.5": "model_sm75.plan",
        "8.6": "model_sm86.plan",
        "12.0": "model_sm120.plan",
    }
    assert "default_model_filename" not in message
    for capability, name in message["cc_model_filenames"].items():
        plan = out / "tensorrt" / "cv_unet_matting" / "1" / name
        assert plan.read_bytes() == engines[capability].read_bytes()
    assert not (out / "tensorrt" / "cv_unet_matting" / "1" / "model.plan").exists()
    assert set(found) == {
        "tensorrt/cv_unet",
        "tensorrt/cv_unet_matting",
        "tensorrt/cv_unet_matting_profile1",
        "onnxruntime/cv_unet",
        "onnxruntime/cv_unet_matting",
    }


def test_each_profile_of_an_engine_is_a_model_with_its_own_batch(packaged, engine):
    engine("8.6")
    _, out = packaged("cv_unet")
    found = configs(out)
    small, large = found["tensorrt/cv_unet_matting"], found["tensorrt/cv_unet_matting_profile1"]
    assert (small["max_batch_size"], small["instance_group"][0]["profile"]) == (8, ["0"])
    assert (large["max_batch_size"], large["instance_group"][0]["profile"]) == (2, ["1"])
    first, second = (
        out / "tensorrt" / name / "1" / "model_sm86.plan" for name in ("cv_unet_matting", "cv_unet_matting_profile1")
    )
    assert first.read_bytes() == second.read_bytes()
    settings = json.loads(found["tensorrt/cv_unet"]["parameters"]["trtkit"]["string_value"])
    assert [target["model"] for target in settings["networks"]["matting"]] == [
        "cv_unet_matting",
        "cv_unet_matting_profile1",
    ]
    assert settings["networks"]["matting"][1]["profile"]["image"]["max"] == [2, 1024, 1024, 3]


def test_batching_and_warm_up_are_those_of_engines_yaml(packaged, engine, tmp_path):
    engine("8.6")
    _, out = packaged("cv_unet")
    message = configs(out)["tensorrt/cv_unet_matting"]
    batching = config.load().network("cv_unet", "matting").batching
    queue = message["dynamic_batching"]
    assert int(queue["max_queue_delay_microseconds"]) == batching.max_delay_ms * 1000
    assert queue["default_queue_policy"]["max_queue_size"] == 64
    assert int(queue["default_queue_policy"]["default_timeout_microseconds"]) == 10_000_000
    warm = [(one["batch_size"], one["inputs"]["image"]["dims"]) for one in message["model_warmup"]]
    assert warm == [(1, ["512", "512", "3"]), (batching.max_batch, ["512", "512", "3"])]
    assert message["input"] == [{"name": "image", "data_type": "TYPE_UINT8", "dims": ["-1", "-1", "3"]}]
    assert message["output"] == [{"name": "alpha", "data_type": "TYPE_UINT8", "dims": ["-1", "-1", "1"]}]


def test_every_model_packages(packaged):
    answer, out = packaged("--python")
    assert answer.code == 0, answer.err
    found = configs(out)
    for backend in ("onnxruntime", "python"):
        for model in models.NAMES:
            for network in models.get(model).networks:
                assert f"{backend}/{model}_{network.name}" in found


def test_a_network_of_several_profiles_is_first_what_takes_the_largest_batch():
    settings = config.load().network("dct_net", "background")
    spec = models.get("dct_net").network("background")
    first, second = shares("dct_net_background", spec, settings.profiles, 8)
    assert (first.name, first.number, first.max_batch) == ("dct_net_background", 1, 4)
    assert (second.name, second.number, second.max_batch) == ("dct_net_background_profile0", 0, 1)


def test_float_networks_have_their_types_and_all_their_outputs(tmp_path):
    from trtkit.package import configs as texts

    settings = config.load().network("hrn", "retinaface")
    (share,) = shares("hrn_retinaface", RETINAFACE, settings.profiles, 4)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "config.pbtxt").write_text(
        texts.network(share, RETINAFACE, settings.batching, texts.ONNXRUNTIME, {})
    )
    message = configs(tmp_path)["one"]
    assert message["input"][0]["data_type"] == "TYPE_FP32"
    assert [one["name"] for one in message["output"]] == ["boxes", "scores", "points"]


def test_the_readme_names_the_tensorrt_that_is_needed_and_no_container_it_does_not_know(packaged, engine):
    engine("8.6")
    _, out = packaged("cv_unet")
    text = (out / "README.md").read_text()
    assert f"**The engines were built with TensorRT {VERSION}" in text
    assert "nvcr.io/nvidia/tritonserver:YY.MM-py3" in text
    assert "docs.nvidia.com/deeplearning/frameworks/support-matrix" in text
    assert "8.6 (sm86)" in text


def test_package_json_has_every_files_sum(packaged, engine):
    engine("8.6")
    _, out = packaged("cv_unet")
    record = json.loads((out / "package.json").read_text())
    assert (record["tensorrt"], record["compute_capabilities"]) == (VERSION, ["8.6"])
    files = {
        str(path.relative_to(out)): path for path in out.rglob("*") if path.is_file() and path.name != "package.json"
    }
    assert set(record["files"]) == set(files)
    for name, path in files.items():
        content = path.read_bytes()
        assert record["files"][name] == {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}


def test_a_gpu_without_tensorrt_serves_from_the_onnx_and_that_is_said(packaged):
    answer, out = packaged("cv_unet", "--gpu", "v100")
    assert answer.code == 0, answer.err
    assert "v100: no TensorRT for it, so it serves from onnxruntime/" in " ".join(answer.err.split())
    assert not (out / "tensorrt").exists()


def test_rtx_engines_are_left_out_and_that_is_said(packaged, engine):
    engine("8.6", builder="tensorrt-rtx")
    answer, out = packaged("cv_unet")
    assert "TensorRT-RTX engines are left out (1, such as matting.fp16.sm86.tensorrt-rtx.engine)" in " ".join(
        answer.err.split()
    )
    assert not (out / "tensorrt").exists()


def test_what_lies_beside_the_networks_stays_behind_and_that_is_said(packaged, tmp_path):
    answer, _ = packaged("dct_net", "--python")
    assert "stay behind" not in answer.err
    folder = tmp_path / "artifacts" / "dct_net"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alpha.jpg").write_bytes(b"a mask")
    answer, out = packaged("dct_net", "--python")
    assert answer.code == 0, answer.err
    assert "dct_net: alpha.jpg stay behind, so that its pipeline in Triton does without them" in " ".join(
        answer.err.split()
    )
    made = configs(out)
    assert made["python/dct_net_background"]["max_batch_size"] == 1, "on the CPU its pixels are what bounds it"
    assert made["python/dct_net_head"]["max_batch_size"] == 2


# Refusals


def refused(packaged, *arguments: object) -> tuple[int, str]:
    answer, out = packaged(*arguments)
    assert not out.exists()
    assert list(out.parent.glob("out*")) == []
    return answer.code, answer.err.strip()


def test_a_missing_engine_names_the_command_that_builds_it(packaged, engine, tmp_path):
    engine("8.9")
    code, error = refused(packaged, "cv_unet", "--gpu", "l4", "--gpu", "a10")
    assert code == 2
    assert error == (
        f"trtkit: {tmp_path / 'artifacts' / 'cv_unet'} has no tensorrt engine of matting for sm86, and every packaged "
        "network needs one; make it on that GPU with: trtkit build cv_unet --gpu a10 --builder tensorrt"
    )


def test_every_network_needs_an_engine_for_every_capability(packaged, engine):
    engine("8.6", model="dct_net", network="head")
    code, error = refused(packaged, "dct_net")
    assert (code, "no tensorrt engine of background for sm86" in error) == (2, True)
    assert error.endswith("trtkit build dct_net --gpu sm86 --builder tensorrt")


def test_an_onnx_of_a_precision_that_was_not_exported_names_its_command(packaged):
    code, error = refused(packaged, "cv_unet", "--precision", "fp16")
    assert (
        code,
        error.endswith("has no fp16 ONNX file of matting; make it with: trtkit export cv_unet --precision fp16"),
    ) == (2, True)
    code, error = refused(packaged, "cv_unet", "--precision", "int8")
    assert (code, error.endswith("make it with: trtkit calibrate cv_unet")) == (2, True)


def test_engines_of_two_tensorrts_are_refused(packaged, engine):
    engine("8.6")
    engine("8.9", version="11.4.0.1")
    code, error = refused(packaged, "cv_unet")
    assert code == 4
    assert "different TensorRT versions" in error
    assert f"sm86.tensorrt.engine by {VERSION}" in error


def test_engines_of_other_weights_are_refused(packaged, engine):
    engine("8.6", weights="0" * 64)
    code, error = refused(packaged, "cv_unet")
    assert (code, "were made of different weights" in error) == (4, True)


def test_a_damaged_engine_is_refused(packaged, engine):
    engine("8.6").write_bytes(b"cut")
    code, error = refused(packaged, "cv_unet")
    assert (code, "is cut short" in error) == (4, True)


def test_an_unknown_model_gpu_or_style_is_refused(packaged):
    assert refused(packaged, "yolo")[0] == 2
    assert refused(packaged, "cv_unet", "cv_unet") == (2, "trtkit: model 'cv_unet' is there twice; name it once")
    assert "--gpu gtx480 is not known" in refused(packaged, "cv_unet", "--gpu", "gtx480")[1]
    assert "no weights for style 'anime'" in refused(packaged, "dct_net", "--style", "anime")[1]


def test_an_imported_graph_is_refused(packaged, tmp_path):
    chain = tmp_path / "artifacts" / "cv_unet" / "chain.json"
    chain.parent.mkdir(parents=True)
    chain.write_text("{}")
    code, error = refused(packaged, "cv_unet")
    assert (code, "holds an imported graph, and what is between its networks runs in trtkit alone" in error) == (
        2,
        True,
    )


# Whole or not there


def test_a_package_is_replaced_as_a_whole(packaged, engine):
    packaged("cv_unet", "--python")
    engine("8.6")
    answer, out = packaged("cv_unet")
    assert answer.code == 0, answer.err
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "onnxruntime", "package.json", "tensorrt"]
    assert [path.name for path in out.parent.glob("out*")] == ["out"]


def test_another_folder_is_never_replaced(packaged, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    answer, out = packaged("cv_unet")
    assert (answer.code, "is there and is no package of trtkit's (package.json is missing)" in answer.err) == (2, True)
    assert (out / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "record",
    [
        b'{"name": "my-app", "version": "1.0.0", "files": ["dist"]}',
        b'{"schema_version": 1, "trtkit": "0"}',
        b'["schema_version", "trtkit", "files"]',
        b"{",
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_package_json_of_another_program_makes_no_package(packaged, tmp_path, record):
    """npm's record has the same name."""
    source = tmp_path / "out" / "src" / "index.js"
    source.parent.mkdir(parents=True)
    source.write_text("years of work")
    (tmp_path / "out" / "package.json").write_bytes(record)
    answer, out = packaged("cv_unet")
    assert (answer.code, answer.out) == (2, "")
    said = " ".join(answer.err.split())
    assert said == (
        f"trtkit: --out {out} is there and is no package of trtkit's (its package.json is not trtkit's); name another "
        "folder"
    )
    assert (source.read_text(), (out / "package.json").read_bytes()) == ("years of work", record)


@pytest.mark.parametrize("link", [False, True])
def test_what_is_no_folder_is_never_replaced(packaged, tmp_path, link):
    real = tmp_path / "real"
    folder.write(real, {"a": b"mine"}, lambda sums: RECORD)
    (tmp_path / "out").symlink_to(real) if link else (tmp_path / "out").write_text("years of work")
    answer, _ = packaged("cv_unet")
    why = "it is a link" if link else "it is no folder"
    assert (answer.code, f"is there and is no package of trtkit's ({why}); name another" in answer.err) == (2, True)
    assert (real / "a").read_bytes() == b"mine"


def test_a_failure_half_way_leaves_the_old_package_and_nothing_else(tmp_path):
    out = tmp_path / "out"
    folder.write(out, {"a": b"old"}, lambda sums: RECORD)

    def broken(sums):
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        folder.write(out, {"a": b"new", "b/c": b"new"}, broken)
    assert (out / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_run_left_is_cleared_by_the_next(tmp_path):
    left = tmp_path / "out.99999999.new.part"
    left.mkdir()
    (left / "half").write_bytes(b"x")
    folder.write(tmp_path / "out", {"a": b"1"}, lambda sums: b"{}")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_one_file_in_several_models_is_stored_once(tmp_path):
    source = tmp_path / "engine"
    source.write_bytes(b"e" * 1000)
    folder.write(tmp_path / "out", {"a/plan": source, "b/plan": source}, lambda sums: b"{}")
    first, second = tmp_path / "out" / "a" / "plan", tmp_path / "out" / "b" / "plan"
    assert first.read_bytes() == second.read_bytes() == source.read_bytes()
    assert first.samefile(second)
    assert not first.samefile(source)  # a package is its own: a later build does not change it


def test_making_a_package_writes_nothing(tmp_path):
    made = triton.make([models.get("cv_unet")], tmp_path, [], None, config.load())
    assert "onnxruntime/cv_unet/1/model.py" in made.files
    assert list(tmp_path.iterdir()) == []
    assert sources.tensorrt_version([]) is None
