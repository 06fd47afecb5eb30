from __future__ import annotations

import sys

import pytest

from trtkit.build_engines import select, tensorrt, tensorrt_rtx
from trtkit.build_engines.select import NoBuilder, choose
from trtkit.errors import MissingComponent, Mistake


@pytest.fixture
def machine(monkeypatch):
    """machine(capabilities, tensorrt_installed): what this machine is taken to have."""

    def pretend(capabilities: tuple[str, ...], tensorrt_installed: bool) -> None:
        monkeypatch.setattr(tensorrt, "local_capabilities", lambda: capabilities)
        monkeypatch.setattr(select, "installed", lambda module: tensorrt_installed)

    return pretend


@pytest.mark.parametrize(
    ("capabilities", "has_tensorrt", "chosen"),
    [
        ((), False, "tensorrt-rtx"),
        ((), True, "tensorrt-rtx"),
        (("8.6",), False, "tensorrt-rtx"),
        (("8.6",), True, "tensorrt"),
        (("8.9",), True, "tensorrt-rtx"),
        (("8.9", "8.6"), True, "tensorrt"),
    ],
)
def test_auto_takes_tensorrt_only_where_it_is_installed_on_the_target_s_gpu(
    tmp_path, config, machine, capabilities, has_tensorrt, chosen
):
    machine(capabilities, has_tensorrt)
    assert choose("auto", "a10", config.gpu("a10"), tmp_path).name == chosen


@pytest.mark.parametrize(
    ("gpu", "capabilities", "has_tensorrt", "words"),
    [
        ("v100", (), False, "TensorRT does not build for compute capability 7.0"),
        ("v100", ("7.0",), True, "TensorRT does not build for compute capability 7.0"),
        ("h200", (), True, "this machine has no NVIDIA GPU"),
        ("h200", ("8.6",), True, "this machine has compute capability 8.6"),
        ("h200", ("9.0",), False, "TensorRT is not installed here"),
    ],
)
def test_a_gpu_without_a_builder_is_served_by_onnxruntime_and_the_sentence_says_why(
    tmp_path, config, machine, gpu, capabilities, has_tensorrt, words
):
    machine(capabilities, has_tensorrt)
    choice = choose("auto", gpu, config.gpu(gpu), tmp_path)
    assert isinstance(choice, NoBuilder)
    assert "served by the ONNX file itself on onnxruntime-gpu" in choice.sentence
    assert words in choice.sentence


def test_an_h200_with_tensorrt_builds_on_itself(tmp_path, config, machine):
    machine(("9.0",), True)
    assert choose("auto", "h200", config.gpu("h200"), tmp_path).name == "tensorrt"


@pytest.mark.parametrize(
    ("builder", "gpu", "words"),
    [
        ("tensorrt-rtx", "h200", "--builder tensorrt-rtx cannot serve --gpu h200"),
        ("tensorrt", "a10", "--builder tensorrt cannot serve --gpu a10: .* no NVIDIA GPU"),
        ("trt", "a10", "--builder trt is not known; choose one of: auto, tensorrt-rtx, tensorrt"),
    ],
)
def test_a_builder_asked_for_by_name_is_never_replaced(tmp_path, config, machine, builder, gpu, words):
    machine((), True)
    with pytest.raises(Mistake, match=words):
        choose(builder, gpu, config.gpu(gpu), tmp_path)


def test_a_builder_that_engines_yaml_leaves_out_is_not_chosen(tmp_path, config, machine):
    machine(("8.6",), True)
    gpu = config.gpu("a10").model_copy(update={"served_by": ["tensorrt-rtx"]})
    assert choose("auto", "a10", gpu, tmp_path).name == "tensorrt-rtx"


@pytest.mark.parametrize(("module", "extra"), [(tensorrt_rtx, "rtx"), (tensorrt, "tensorrt")])
def test_a_missing_library_names_its_extra(tmp_path, monkeypatch, module, extra):
    monkeypatch.setattr(module, "installed_version", lambda name: None)
    for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    builder = tensorrt.TensorRT(tmp_path) if module is tensorrt else tensorrt_rtx.TensorRTRTX()
    with pytest.raises(MissingComponent, match=rf"trtkit\[{extra}\]"):
        builder.version()


def test_a_version_compatible_engine_is_tensorrt_s_and_has_a_key_of_its_own(tmp_path, config, machine):
    machine(("8.6",), True)
    plain = choose("auto", "a10", config.gpu("a10"), tmp_path)
    for builder in ("auto", "tensorrt"):
        chosen = choose(builder, "a10", config.gpu("a10"), tmp_path, version_compatible=True)
        assert chosen.name == "tensorrt"
        assert chosen.flags == plain.flags | {"version_compatible": True}


@pytest.mark.parametrize(
    ("builder", "capabilities", "words"),
    [
        (
            "tensorrt-rtx",
            ("8.6",),
            "TensorRT-RTX builds no version-compatible engines: its package has no lean runtime",
        ),
        ("tensorrt", (), "this machine has no NVIDIA GPU"),
        ("auto", (), "this machine has no NVIDIA GPU; build with --builder tensorrt on that GPU"),
    ],
)
def test_what_cannot_be_made_version_compatible_is_refused_in_a_sentence(
    tmp_path, config, machine, builder, capabilities, words
):
    machine(capabilities, True)
    with pytest.raises(Mistake, match="--version-compatible cannot serve --gpu a10: ") as error:
        choose(builder, "a10", config.gpu("a10"), tmp_path, version_compatible=True)
    assert words in str(error.value)
