from __future__ import annotations

import json

import pytest

from trtkit.build_engines.builder import Source
from trtkit.build_engines.precision_share import MIN_HALF_SHARE, MIN_INT8_SHARE, enforce, share_of_engine
from trtkit.errors import CheckFailed
from trtkit.manifest import PrecisionShare


def share(total: int, half: int = 0, int8: int = 0) -> PrecisionShare:
    return PrecisionShare(compute_layers=total, half=half, int8=int8, source="network")


def test_the_thresholds_are_the_stated_ones():
    assert (MIN_HALF_SHARE, MIN_INT8_SHARE) == (0.9, 0.8)


@pytest.mark.parametrize(
    ("precision", "counted"),
    [("fp16", share(10, half=9)), ("int8", share(10, int8=8, half=2)), ("fp32", share(10)), ("fp32", share(0))],
)
def test_a_share_at_its_threshold_passes(precision, counted):
    enforce(counted, Source(b"", "net.onnx", precision))


@pytest.mark.parametrize(
    ("precision", "counted", "words"),
    [
        ("fp16", share(100, half=89), r"net.onnx: 89 of 100 compute layers \(89.0%\) are Half"),
        ("int8", share(100, int8=79, half=21), r"net.onnx: 79 of 100 compute layers \(79.0%\) are Int8"),
        ("fp16", share(0), "net.onnx has no convolution or matrix product"),
    ],
)
def test_a_share_below_its_threshold_fails_with_the_figures(precision, counted, words):
    with pytest.raises(CheckFailed, match=words):
        enforce(counted, Source(b"", "net.onnx", precision))


def test_layers_that_are_kept_on_purpose_do_not_count_against_it():
    enforce(share(18, half=16), Source(b"", "net.onnx", "fp16", kept=2))
    enforce(share(27, int8=20, half=7), Source(b"", "net.onnx", "int8", kept=5))
    with pytest.raises(CheckFailed, match=r"at least 90% beside the 2 that are kept from it on purpose; mend it so$"):
        enforce(share(18, half=14), Source(b"", "net.onnx", "fp16", kept=2, mending="mend it so"))
    with pytest.raises(CheckFailed, match="0 of 3"):  # all of them kept: nothing of it is what was asked for
        enforce(share(3), Source(b"", "net.onnx", "fp16", kept=3))


def layer(kind: str, data: str, tactic: str = "") -> dict[str, object]:
    return {"Name": kind, "LayerType": kind, "TacticName": tactic, "Inputs": [{"Name": "x", "Format/Datatype": data}]}


@pytest.mark.parametrize("key", ["Bindings", "I/O Tensors"])
def test_an_engine_s_compute_layers_are_counted_by_their_data_type(key):
    layers = [
        layer("CaskConvolution", "Half"),
        layer("CaskConvolution", "Channel major FP16 format where channel % 8 == 0"),
        layer("CaskDeconvolution", "Row major linear FP32"),
        layer("gemm", "Int8"),
        layer("fusion", "Int8", "sm80_xmma_gemm_i8i8_i8i32_f32_tn"),
        layer("fusion", "Half", "pointwise_vectorized"),
        layer("Reformat", "Half"),
    ]
    counted = share_of_engine(json.dumps({"Layers": layers, key: ["x"]}))
    assert counted == PrecisionShare(compute_layers=5, half=2, int8=2, source="engine")


def test_an_engine_that_shows_no_compute_layer_gives_no_count():
    assert share_of_engine(json.dumps({"Layers": ["{ForeignNode[a...b]}"], "Bindings": ["x"]})) is None


@pytest.mark.parametrize("text", ["", "[]", '{"Error": "no engine"}'])
def test_an_answer_that_describes_no_engine_is_refused(text):
    with pytest.raises(CheckFailed, match="engine inspector's answer"):
        share_of_engine(text)
