"""The typed FP16 form: valid for the checker, for ONNX Runtime and for TensorRT-RTX, and only FP32 where it says so."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trtkit.errors import CheckFailed
from trtkit.export.half import to_half
from trtkit.runtime.cpu import CpuBackend


def _model(nodes, weights, opset=20):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("out", TensorProto.UINT8, ["N", "H", "W", 3])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def _picture_network(extra=(), last="conv", scale=0.2):
    """uint8 NHWC → float NCHW → conv → `extra` → uint8 NHWC."""
    rng = np.random.default_rng(0)
    weights = {"kernel": (rng.standard_normal((3, 3, 3, 3)) * scale).astype(np.float32), "half": np.float32(127.5)}
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], name="from_uint8/cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["t"], name="from_uint8/transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Div", ["t", "half"], ["x"], name="from_uint8/div"),
        helper.make_node("Conv", ["x", "kernel"], ["conv"], name="body.0/conv", pads=[1, 1, 1, 1]),
        *extra,
        helper.make_node("Mul", [last, "half"], ["m"], name="to_uint8/mul"),
        helper.make_node("Transpose", ["m"], ["b"], name="to_uint8/transpose", perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["b"], ["out"], name="to_uint8/cast", to=TensorProto.UINT8),
    ]
    return _model(nodes, weights)


def _types(model):
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    return {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}


EDGES = ["from_uint8", "to_uint8"]


def test_a_uint8_network_is_valid_everywhere_and_half_between_its_edges():
    typed = to_half(_picture_network(), EDGES)
    onnx.checker.check_model(typed, full_check=True)
    types = _types(typed)
    assert types["conv"] == TensorProto.FLOAT16
    assert types["x"] == types["m"] == TensorProto.FLOAT
    assert [node.op_type for node in typed.graph.node].count("Cast") == 4
    with CpuBackend(typed.SerializeToString()) as backend:
        assert backend.inputs["image"][0] == np.uint8


def test_it_agrees_with_fp32():
    model = _picture_network()
    image = np.random.default_rng(1).integers(0, 256, (2, 24, 20, 3), dtype=np.uint8)
    with CpuBackend(model.SerializeToString()) as exact, CpuBackend(to_half(model, EDGES).SerializeToString()) as half:
        gap = exact.run({"image": image})["out"].astype(int) - half.run({"image": image})["out"]
    assert np.minimum(np.abs(gap), 256 - np.abs(gap)).max() <= 1


def test_norms_and_blocked_modules_stay_in_fp32():
    extra = [
        helper.make_node("InstanceNormalization", ["conv", "g", "g"], ["n"], name="norm/instancenormalization"),
        helper.make_node("Relu", ["n"], ["r"], name="guided.box/relu"),
        helper.make_node("Relu", ["r"], ["r2"], name="guided_by/relu"),
    ]
    model = _picture_network(extra, last="r2")
    model.graph.initializer.append(numpy_helper.from_array(np.ones(3, np.float32), "g"))
    types = _types(to_half(model, [*EDGES, "guided"]))
    assert types["n"] == types["r"] == TensorProto.FLOAT
    assert types["r2"] == TensorProto.FLOAT16, "a prefix is a module's name, not any beginning of a word"


def test_resize_keeps_its_scales_in_float_and_its_data_in_half():
    extra = [helper.make_node("Resize", ["conv", "", "scales"], ["r"], name="up/resize", mode="linear")]
    model = _picture_network(extra, last="r")
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))
    typed = to_half(model, EDGES)
    onnx.checker.check_model(typed, full_check=True)
    assert _types(typed)["r"] == TensorProto.FLOAT16


def _constant(name, value):
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(value)))


def test_operands_given_as_constants_follow_the_precision_of_their_node():
    """Pad's fill, Clip's limits, and one constant that a half node and an FP32 node both read."""
    extra = [
        _constant("around", np.array([0, 0, 1, 1, 0, 0, 1, 1])),
        _constant("third", np.float32(1 / 3)),
        _constant("low", np.float32(-0.9)),
        helper.make_node("Pad", ["conv", "around", "third"], ["padded"], name="body.1/pad"),
        helper.make_node("Clip", ["padded", "low", "third"], ["clipped"], name="body.1/clip"),
        helper.make_node("LeakyRelu", ["clipped"], ["leaky"], name="body.1/leakyrelu", alpha=0.2),
        helper.make_node("AveragePool", ["leaky"], ["pooled"], name="body.1/averagepool", kernel_shape=[3, 3]),
        helper.make_node("Add", ["pooled", "third"], ["kept"], name="island/add"),
    ]
    exact = _picture_network(extra, last="kept")
    typed = to_half(exact, [*EDGES, "island"])
    onnx.checker.check_model(typed, full_check=True)
    types = _types(typed)
    assert {types[name] for name in ("padded", "clipped", "leaky", "pooled")} == {TensorProto.FLOAT16}
    assert types["kept"] == TensorProto.FLOAT
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in typed.graph.initializer}
    assert weights["third"].dtype == np.float32
    assert weights["third.half"].dtype == np.float16
    image = np.random.default_rng(1).integers(0, 256, (1, 12, 16, 3), dtype=np.uint8)
    with CpuBackend(exact.SerializeToString()) as one, CpuBackend(typed.SerializeToString()) as other:
        found = other.run({"image": image})["out"].astype(int)
        assert np.abs(one.run({"image": image})["out"] - found).max() <= 1


def test_a_float_output_keeps_its_type():
    model = _picture_network()
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info("conv", TensorProto.FLOAT, ["N", 3, "H", "W"]))
    model.graph.node.pop()
    model.graph.node.pop()
    model.graph.node.pop()
    typed = to_half(model, EDGES)
    onnx.checker.check_model(typed, full_check=True)
    assert typed.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT


def test_a_weight_past_half_range_is_named():
    sentence = (
        r"tensor 'kernel' holds .*, more than half precision's 65504; leave its node in FP32 with keep_fp32: \[.+\]"
    )
    with pytest.raises(CheckFailed, match=sentence):
        to_half(_picture_network(scale=1e5), EDGES)


def test_no_fp32_weight_stays_behind():
    typed = to_half(_picture_network(), EDGES)
    assert {t.name: t.data_type for t in typed.graph.initializer}["kernel.half"] == TensorProto.FLOAT16
    assert "kernel" not in {t.name for t in typed.graph.initializer}


def test_two_conversions_are_byte_identical():
    model = _picture_network()
    first, second = (to_half(model, EDGES).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
