"""Which backend is chosen, and how it is said; machines are made up, artifacts are real files with manifests."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.said_of_forms import CHECKS
from trtkit import artifacts, config, manifest, models
from trtkit.errors import CheckFailed, MissingComponent, Mistake
from trtkit.models.spec import Model
from trtkit.runtime import cuda, engines, machine, select, tensorrt, tensorrt_rtx
from trtkit.runtime.cpu import CpuBackend
from trtkit.runtime.cuda_api import DeviceLost
from trtkit.runtime.request import Opened, Request

from .toy_network import toy_network


@pytest.fixture
def model() -> Model:
    return models.get("cv_unet")


@pytest.fixture
def root(tmp_path: Path, model: Model) -> Path:
    """An artifacts folder with an exported FP32 form in it."""
    put(artifacts.onnx_path(tmp_path, model.name, "matting", "fp32"), "fp32")
    return tmp_path


def put(path: Path, precision: str, weights: str = "a" * 64, kind: str = "file", **engine: str) -> Path:
    content = toy_network()
    record = manifest.Manifest(
        kind="engine" if engine else "onnx",
        model="cv_unet",
        network="matting",
        precision=precision,
        made_of=manifest.MadeOf(weights=manifest.WeightsRecord(kind=kind, sha256=weights)),
        made_with=manifest.MadeWith(
            trtkit="0",
            tool=engine.get("tool", "trtkit"),
            version=engine.get("version", "0"),
            flags={"version_compatible": True} if engine.get("lean") else {},
        ),
        made_for=manifest.MadeFor(compute_capability=engine.get("capability")),
        came_out=manifest.CameOut(
            sha256=hashlib.sha256(content).hexdigest(), size=len(content), checks=CHECKS[precision]
        ),
        build_key="test",
    )
    manifest.publish(path, content, record)
    return path


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with one L4, and with every library."""
    monkeypatch.setattr(machine, "local_capabilities", lambda: ("8.9",))
    for module in (machine, tensorrt, tensorrt_rtx):
        monkeypatch.setattr(module, "installed", lambda _: True)
    monkeypatch.setattr(cuda, "provider_missing", lambda: None)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The GPU backends open nothing but a record of who was asked."""
    asked: list[str] = []
    for name, module in select.GPU_BACKENDS.items():

        def load(request, name=name):
            asked.append(name)
            path = artifacts.onnx_path(request.root, "cv_unet", "matting", "fp32")
            return Opened(CpuBackend(path), manifest.read(path), path)

        monkeypatch.setattr(module, "load", load)
    return asked


def load(model: Model, root: Path, backend: str = "auto", **options):
    loaded = select.load(model, model.network("matting"), root, backend, **options)
    loaded.backend.close()
    return loaded


def test_without_a_gpu_auto_is_the_cpu_and_says_why(model, root, monkeypatch):
    monkeypatch.setattr(machine, "local_capabilities", lambda: ())
    loaded = load(model, root)
    assert loaded.where.startswith("cpu: ")
    assert loaded.why == "no GPU backend: this machine shows no NVIDIA GPU"


@pytest.mark.parametrize("backend", ["cuda", "tensorrt", "tensorrt-rtx"])
def test_a_named_backend_that_cannot_run_is_an_error_never_the_cpu(model, root, backend, monkeypatch):
    monkeypatch.setattr(machine, "local_capabilities", lambda: ())
    with pytest.raises(
        MissingComponent,
        match=f"--backend {backend} cannot run cv_unet/matting here: this machine.*; trtkit doctor shows",
    ):
        load(model, root, backend)


def test_what_a_backend_found_out_is_handed_on(model, root):
    loaded = load(model, root, "cpu")
    assert loaded.notes == ()
    loaded.backend.notes = ["loaded cold in 2.31 s"]
    assert loaded.notes == ("loaded cold in 2.31 s",)


def test_cpu_can_be_asked_for_on_a_gpu_machine(model, root, gpu, opened):
    assert load(model, root, "cpu").why == ""
    assert opened == []


@pytest.mark.parametrize("capability", ["8.9", "9.0"])
def test_without_an_engine_auto_is_cuda_and_says_how_to_get_one(model, root, gpu, opened, capability, monkeypatch):
    monkeypatch.setattr(machine, "local_capabilities", lambda: (capability,))
    why = load(model, root).why
    assert opened == ["cuda"]
    sm = "sm" + capability.replace(".", "")
    assert f"(trtkit build cv_unet --gpu {sm} --builder tensorrt --out {root})" in why
    if capability == "9.0":
        assert "not tensorrt-rtx: TensorRT-RTX refuses compute capability 9.0" in why


def test_fp32_on_a_gpu_is_said_with_the_command_that_ends_it_unless_it_was_asked_for(model, root, gpu, opened):
    said = "in FP32, which takes a GPU longer than FP16 does (trtkit export cv_unet --precision fp16)"
    assert load(model, root, "cuda").why == said
    assert load(model, root).why.endswith(f"; {said}")
    assert load(model, root, "cuda", precision="fp32").why == ""
    assert opened == ["cuda"] * 3


@pytest.mark.parametrize("builder", ["tensorrt", "tensorrt-rtx"])
def test_an_engine_for_this_gpu_and_this_library_is_taken(model, root, gpu, opened, builder, monkeypatch):
    from trtkit.runtime import engines

    monkeypatch.setattr(engines, "installed_versions", lambda: {builder: "10.16.1.11"})
    path = artifacts.engine_path(root, "cv_unet", "matting", "fp16", "8.9", builder)
    put(path, "fp16", tool=builder, version="10.16.1.11", capability="8.9")
    load(model, root)
    assert opened == [builder]


def test_an_engine_of_another_version_is_passed_over_and_named_it_is_an_error(model, root, gpu, opened, monkeypatch):
    from trtkit.runtime import engines

    monkeypatch.setattr(engines, "installed_versions", lambda: {"tensorrt": "11.4.0.106"})
    monkeypatch.setattr(tensorrt, "library_version", lambda: "11.4.0.106")
    path = artifacts.engine_path(root, "cv_unet", "matting", "fp16", "8.9", "tensorrt")
    put(path, "fp16", tool="tensorrt", version="10.16.1.11", capability="8.9")
    assert "was built for sm89 with tensorrt 10.16.1.11" in load(model, root).why
    assert opened == ["cuda"]
    with pytest.raises(MissingComponent, match=r"was built for sm89 with tensorrt 10\.16\.1\.11"):
        load(model, root, "tensorrt")


@pytest.mark.parametrize(("library", "taken"), [("11.4.0.106", True), ("10.9.0.34", False)])
def test_a_version_compatible_engine_runs_on_any_later_tensorrt(model, root, gpu, opened, library, taken, monkeypatch):
    from trtkit.runtime import engines

    monkeypatch.setattr(engines, "installed_versions", lambda: {"tensorrt": library})
    monkeypatch.setattr(tensorrt, "library_version", lambda: library)
    path = artifacts.engine_path(root, "cv_unet", "matting", "fp16", "8.9", "tensorrt")
    put(path, "fp16", tool="tensorrt", version="10.16.1.11", capability="8.9", lean="yes")
    load(model, root)
    assert opened == (["tensorrt"] if taken else ["cuda"])


def test_a_backend_that_looked_usable_and_fails_gives_way_to_the_next(model, root, gpu, opened, monkeypatch):
    def fail(request):
        raise MissingComponent("ONNX Runtime's CUDA provider does not start here")

    monkeypatch.setattr(cuda, "load", fail)
    loaded = load(model, root)
    assert loaded.where.startswith("cpu: ")
    assert "not cuda: ONNX Runtime's CUDA provider does not start here" in loaded.why


def test_a_lost_gpu_is_no_reason_to_go_on_in_silence(model, root, gpu, opened, monkeypatch):
    def fail(request):
        raise DeviceLost("GPU 0 is lost to this process")

    monkeypatch.setattr(cuda, "load", fail)
    with pytest.raises(DeviceLost):
        load(model, root)


@pytest.mark.parametrize("device", [7, -1])
def test_a_gpu_that_is_not_there_is_an_error_even_for_auto(model, root, device):
    with pytest.raises(MissingComponent, match=f"--device {device} does not exist: this machine has"):
        load(model, root, device=device)


def test_an_unknown_backend_is_a_mistake(model, root):
    with pytest.raises(Mistake, match="choose one of: auto, tensorrt, tensorrt-rtx, cuda, cpu"):
        load(model, root, "opencl")


def test_cuda_takes_the_half_form_unless_it_is_left_over_from_other_weights(model, root):
    from trtkit import config
    from trtkit.runtime.request import Request

    request = Request(model, model.network("matting"), root, 0, 3, config.load())
    single = artifacts.onnx_path(root, "cv_unet", "matting", "fp32")
    half = artifacts.onnx_path(root, "cv_unet", "matting", "fp16")
    assert cuda.onnx_file(request, half=True) == single
    put(half, "fp16")
    assert cuda.onnx_file(request, half=True) == half
    assert cuda.onnx_file(request, half=False) == single
    put(half, "fp16", weights="b" * 64)
    assert cuda.onnx_file(request, half=True) == single


def test_an_engine_of_other_weights_than_the_exported_ones_is_left_over(model, root, gpu, opened, monkeypatch):
    monkeypatch.setattr("trtkit.runtime.engines.installed_versions", lambda: {"tensorrt": "10.16.1.11"})
    path = artifacts.engine_path(root, model.name, "matting", "fp16", "8.9", "tensorrt")
    put(path, "fp16", weights="b" * 64, tool="tensorrt", version="10.16.1.11", capability="8.9")
    loaded = load(model, root)
    assert opened == ["cuda"]
    assert (
        f"not tensorrt: {path} is made of other weights than matting.fp32.onnx beside it; build it again: "
        f"trtkit build cv_unet --gpu sm89 --builder tensorrt --precision fp16 --out {root}" in loaded.why
    )
    with pytest.raises(MissingComponent, match="made of other weights than"):
        load(model, root, "tensorrt")
    artifacts.onnx_path(root, model.name, "matting", "fp32").unlink()
    request = Request(model, model.network("matting"), root, 0, 1, config.load())
    assert engines.refusal(request, "tensorrt", None) is None, (
        "of an engine that came without its ONNX nothing is known"
    )


def test_what_an_earlier_package_left_behind_gives_way_to_the_package(model, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "local_capabilities", lambda: ())
    put(artifacts.onnx_path(tmp_path, model.name, "matting", "fp32"), "fp32", kind="embedded")
    assert load(model, tmp_path).path == model.embedded_onnx("matting")


def test_an_exported_style_is_loaded_though_the_package_has_no_weights_of_it(tmp_path):
    styled = models.get("dct_net").styled("anime")
    path = artifacts.onnx_path(tmp_path, styled.folder, "head", "fp32")
    record = manifest.read(put(path, "fp32")).model_copy(
        update={"model": "dct_net", "network": "head", "style": "anime"}
    )
    manifest.publish(path, path.read_bytes(), record)
    loaded = select.load(styled, styled.network("head"), tmp_path, "cpu", config=config.load())
    assert loaded.path == path
    loaded.backend.close()


def test_a_file_of_another_model_is_refused(model, root):
    path = artifacts.onnx_path(root, "cv_unet", "matting", "fp32")
    record = manifest.read(path).model_copy(update={"network": "other"})
    manifest.publish(path, path.read_bytes(), record)
    with pytest.raises(Mistake, match="cv_unet/other, not cv_unet/matting"):
        load(model, root, "cpu")


def test_a_damaged_file_is_found_before_it_is_opened(model, root):
    path = artifacts.onnx_path(root, "cv_unet", "matting", "fp32")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckFailed, match="cut short"):
        load(model, root, "cpu")
