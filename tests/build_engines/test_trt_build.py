"""Real builds by TensorRT-RTX, which needs no GPU for them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from trtkit.build_engines import tensorrt, trt_build
from trtkit.build_engines.builder import Source
from trtkit.build_engines.log_lines import logger
from trtkit.build_engines.tensorrt_rtx import CAPABILITIES, TensorRTRTX, module
from trtkit.config import ShapeRange
from trtkit.errors import CheckFailed, MissingComponent, Mistake, TrtkitError

from .networks import image_network, mixed_add, quantized_product

pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX: pip install 'trtkit[rtx]'")


def build(tmp_path, content, profiles, *, precision="fp16", capability="8.6", progress=None):
    return TensorRTRTX().build(Source(content, "net.onnx", precision), capability, profiles, progress)


def one_sentence(error: pytest.ExceptionInfo[TrtkitError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_an_fp16_graph_builds_for_every_capability_with_all_layers_half(tmp_path, profiles, capability):
    built = build(tmp_path, image_network("fp16"), profiles, capability=capability)
    assert (built.precision_share.compute_layers, built.precision_share.half, built.precision_share.int8) == (3, 3, 0)
    assert built.precision_share.source == "network"
    assert built.memory_plan.activation_bytes > 0
    assert built.memory_plan.weights_bytes > 0
    assert built.flags["compute_capabilities"] == [capability]


def test_an_fp32_graph_is_refused_as_fp16_with_the_figures(tmp_path, profiles):
    with pytest.raises(CheckFailed) as error:
        build(tmp_path, image_network("fp32"), profiles)
    text = one_sentence(error)
    assert "0 of 3 compute layers (0.0%) are Half" in text
    assert "90%" in text
    assert "net.onnx" in text


def test_an_fp32_graph_builds_as_fp32(tmp_path, profiles):
    assert build(tmp_path, image_network("fp32"), profiles, precision="fp32").precision_share.half == 0


def test_a_qdq_graph_counts_as_int8(tmp_path, profiles):
    share = build(tmp_path, image_network("int8"), profiles, precision="int8").precision_share
    assert (share.compute_layers, share.half, share.int8) == (3, 0, 3)


def test_a_quantized_matrix_product_counts_as_int8_through_the_parser_s_reshape(tmp_path):
    shapes = {"a": ShapeRange(min=[1, 2, 4], opt=[1, 2, 4], max=[4, 2, 4])}
    share = build(tmp_path, quantized_product(), [shapes], precision="int8").precision_share
    assert (share.compute_layers, share.int8) == (1, 1)


def test_an_fp16_graph_is_refused_as_int8(tmp_path, profiles):
    with pytest.raises(CheckFailed, match="0 of 3 compute layers"):
        build(tmp_path, image_network("fp16"), profiles, precision="int8")


def test_the_memory_plan_is_that_of_the_hungriest_profile(tmp_path, profiles):
    larger = {"image": ShapeRange(min=[1, 128, 128, 3], opt=[1, 256, 256, 3], max=[2, 512, 512, 3])}
    small, large, both = (
        build(tmp_path, image_network("fp16"), chosen).memory_plan.activation_bytes
        for chosen in (profiles, [larger], [larger, *profiles])
    )
    assert small < large == both


def test_a_parse_error_names_file_and_node_in_one_sentence(tmp_path, profiles):
    with pytest.raises(CheckFailed) as error:
        build(tmp_path, mixed_add(), profiles)
    text = one_sentence(error)
    assert "net.onnx" in text
    assert "node 'mixed_sum' (Add)" in text
    assert "must have same input types" in text
    assert "/_src/" not in text
    assert "cuda" not in text.lower()


@pytest.mark.parametrize("content", [b"hello", b"", image_network("fp16")[:-200]])
def test_bytes_that_are_no_network_are_refused(tmp_path, profiles, content):
    with pytest.raises(CheckFailed) as error:
        build(tmp_path, content, profiles)
    assert "net.onnx" in one_sentence(error)


def image(low, high):
    return {"image": ShapeRange(min=low, opt=high, max=high)}


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ([], "no profile is given"),
        ([{}], "profiles.0 has no key 'image'"),
        ([{"picture": ShapeRange(min=[1], opt=[1], max=[1])} | image([1, 64, 64, 3], [1, 64, 64, 3])], "0.picture"),
        ([image([1, 64, 64], [1, 64, 64])], r"profiles.0.image: .* \[\?, \?, \?, 3\]"),
        ([image([1, 64, 64, 3], [1, 64, 64, 4])], r"profiles.0.image: .* \[\?, \?, \?, 3\]"),
        ([image([1, 64, 64, 3], [1, 64, 64, 3]), {}], "profiles.1 has no key 'image'"),
    ],
)
def test_a_profile_that_does_not_fit_is_named(tmp_path, chosen, words):
    with pytest.raises(Mistake, match=words) as error:
        build(tmp_path, image_network("fp16"), chosen)
    assert "net.onnx" in one_sentence(error)


def test_progress_counts_every_phase_up_to_its_total(tmp_path, profiles):
    seen: list[tuple[str, int, int]] = []
    build(tmp_path, image_network("fp16"), profiles, progress=lambda *step: seen.append(step))
    assert "Building engine" in {phase for phase, _, _ in seen}
    last = {phase: (done, total) for phase, done, total in seen}
    assert all(0 <= done <= total for _, done, total in seen)
    assert all(done == total for done, total in last.values())


def test_an_exception_of_the_progress_callback_ends_the_build_and_comes_out(tmp_path, profiles):
    def broken(phase: str, done: int, total: int) -> None:
        raise ZeroDivisionError(phase)

    with pytest.raises(ZeroDivisionError, match="Building engine"):
        build(tmp_path, image_network("fp16"), profiles, progress=broken)


def test_a_build_after_a_failed_one_has_only_its_own_log(tmp_path, profiles):
    with pytest.raises(CheckFailed, match="mixed_sum"):
        build(tmp_path, mixed_add(), profiles)
    assert build(tmp_path, image_network("fp16"), profiles).engine


def test_a_build_that_gives_no_engine_says_why_in_one_sentence(tmp_path, profiles, monkeypatch):
    # Without the check of ours the builder itself has to refuse: dynamic axes and no profile.
    monkeypatch.setattr(trt_build, "add_profiles", lambda *given: None)
    with pytest.raises(CheckFailed, match=r"no engine came of it for sm86: .*no optimization profile") as error:
        build(tmp_path, image_network("fp16"), profiles)
    assert "/_src/" not in one_sentence(error)


@pytest.mark.filterwarnings("ignore:Use Deprecated in TensorRT-RTX")  # it keeps the calls, as no-ops
@pytest.mark.parametrize("kept", [None, b"", b"not a timing cache"])
def test_the_timing_cache_s_calls_write_the_file_and_survive_what_was_in_it(tmp_path, profiles, kept):
    cache = tmp_path / ".cache" / "timing.cache"
    source = Source(image_network("fp16"), "net.onnx", "fp16")
    if kept is not None:
        cache.parent.mkdir()
        cache.write_bytes(kept)
    for _ in range(2):
        trt_build.build(module(), trt_build.Request(source, "8.6", profiles, cache))
        assert cache.read_bytes() not in (b"", kept)


def test_a_capability_the_module_does_not_know_is_named():
    old = SimpleNamespace(
        __name__="tensorrt_rtx",
        __version__="1.0",
        ComputeCapability=SimpleNamespace(SM86=1),
        MemoryPoolType=SimpleNamespace(WORKSPACE=0),
        ProfilingVerbosity=SimpleNamespace(DETAILED=0),
    )
    config = SimpleNamespace(set_memory_pool_limit=lambda pool, size: None)
    with pytest.raises(MissingComponent, match=r"tensorrt_rtx 1.0 does not know compute capability 12.0"):
        trt_build._configure(old, config, trt_build.Request(Source(b"", "net.onnx", "fp16"), "12.0", []))


def test_tensorrt_rtx_has_the_flag_and_no_lean_runtime_to_put_into_an_engine(tmp_path, profiles):
    """Why --version-compatible is refused for it before anything is parsed."""
    source = Source(image_network("fp16"), "net.onnx", "fp16")
    with pytest.raises(CheckFailed) as error:
        trt_build.build(module(), trt_build.Request(source, "8.6", profiles, version_compatible=True))
    assert "no engine came of it for sm86" in one_sentence(error)


def test_a_version_compatible_build_sets_the_flag_and_says_so_in_the_manifest_s_flags():
    trt = module()
    config = trt.Builder(logger(trt)).create_builder_config()
    source = Source(b"", "net.onnx", "fp16")
    request = trt_build.Request(source, "8.6", [], version_compatible=True)
    assert trt_build._configure(trt, config, request)["version_compatible"] is True
    assert config.get_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    plain = trt.Builder(logger(trt)).create_builder_config()
    assert "version_compatible" not in trt_build._configure(trt, plain, trt_build.Request(source, "8.6", []))
    assert not plain.get_flag(trt.BuilderFlag.VERSION_COMPATIBLE)


@pytest.mark.parametrize("host_code", [False, True])
def test_the_engine_just_built_may_bring_its_runtime_only_where_that_was_asked_for(monkeypatch, host_code):
    """On a fake Runtime: TensorRT's own does not run without its GPU."""
    made = []

    class Runtime:
        engine_host_code_allowed = False

        def __init__(self, _: object) -> None:
            made.append(self)

        def deserialize_cuda_engine(self, content: bytes) -> None:
            return None

    fake = SimpleNamespace(Runtime=Runtime)
    monkeypatch.setattr(tensorrt, "logger", lambda trt: None)
    with pytest.raises(CheckFailed, match="does not load on this GPU"):
        tensorrt.inspect(fake, b"engine", host_code)
    assert made[0].engine_host_code_allowed is host_code
