"""The Q/DQ graph: what TensorRT's importer takes, on both kinds of convolution, in FP32 and half surroundings."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trtkit.calib.placement import place
from trtkit.calib.qdq import LEVELS, SMALLEST_SCALE, insert, quantize_weights
from trtkit.export.half import to_half
from trtkit.runtime.cpu import CpuBackend


def network():
    """uint8 picture → convolution, transposed convolution, three convolutions → uint8; biases everywhere."""
    dice = np.random.default_rng(0)

    def weights(name, *shape):
        return numpy_helper.from_array((dice.standard_normal(shape) * 0.2).astype(np.float32), name)

    constants = [
        weights("a.w", 4, 3, 3, 3),
        weights("b.w", 4, 6, 2, 2),
        weights("c.w", 5, 6, 3, 3),
        weights("d.w", 5, 5, 3, 3),
        weights("e.w", 3, 5, 3, 3),
        *(weights(f"{name}.bias", count) for name, count in (("a", 4), ("b", 6), ("c", 5), ("d", 5), ("e", 3))),
        numpy_helper.from_array(np.float32(60), "sixty"),
        numpy_helper.from_array(np.float32(120), "middle"),
    ]
    same = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], name="from_uint8/cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["t"], name="from_uint8/transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Div", ["t", "middle"], ["x"], name="from_uint8/div"),
        helper.make_node("Conv", ["x", "a.w", "a.bias"], ["1"], name="a", **same),
        helper.make_node("Relu", ["1"], ["2"], name="relu"),
        helper.make_node("ConvTranspose", ["2", "b.w", "b.bias"], ["3"], name="b", strides=[2, 2]),
        helper.make_node("Conv", ["3", "c.w", "c.bias"], ["4"], name="c", **same),
        helper.make_node("Conv", ["4", "d.w", "d.bias"], ["5"], name="d", **same),
        helper.make_node("Conv", ["5", "e.w", "e.bias"], ["6"], name="e", **same),
        helper.make_node("Mul", ["6", "sixty"], ["7"], name="to_uint8/mul"),
        helper.make_node("Add", ["7", "middle"], ["8"], name="to_uint8/add"),
        helper.make_node("Transpose", ["8"], ["9"], name="to_uint8/transpose", perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["9"], ["y"], name="to_uint8/cast", to=TensorProto.UINT8),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.UINT8, ["N", "H", "W", 3]) for name in ("image", "y")]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


EXACT = network()
LIMITS = {"2": 4.0, "3": 5.0, "4": 6.0}
EDGES = ["from_uint8", "to_uint8"]


@pytest.fixture(scope="module", params=["half", "float"])
def quantized(request):
    surroundings = to_half(EXACT, EDGES) if request.param == "half" else EXACT
    return insert(surroundings, EXACT, place(EXACT, ()), LIMITS)


def test_the_checker_and_onnxruntime_take_it(quantized):
    onnx.checker.check_model(quantized, full_check=True)
    image = np.random.default_rng(1).integers(0, 256, (2, 16, 20, 3), dtype=np.uint8)
    with CpuBackend(EXACT.SerializeToString()) as exact, CpuBackend(quantized.SerializeToString()) as int8:
        gap = np.abs(exact.run({"image": image})["y"].astype(int) - int8.run({"image": image})["y"])
    assert 0 < gap.mean() < 4


def test_onnxruntimes_optimizer_changes_nothing(quantized):
    """It quantizes biases on its own and fuses what it can, in half precision: scales have to bear that."""
    image = np.random.default_rng(2).integers(0, 256, (1, 24, 24, 3), dtype=np.uint8)
    with (
        CpuBackend(quantized.SerializeToString()) as optimized,
        CpuBackend(quantized.SerializeToString(), optimize=False) as plain,
    ):
        gap = optimized.run({"image": image})["y"].astype(int) - plain.run({"image": image})["y"]
    assert np.abs(gap).mean() < 0.2


def test_tiny_weights_beside_a_large_bias_survive_half_precision():
    """A step of data scale x weight scale so small that the bias is more than 65504 of them."""
    lopsided = network()
    for tensor in lopsided.graph.initializer:
        if tensor.name in ("c.w", "b.w"):
            values = numpy_helper.to_array(tensor).copy()
            values[:, 0] = 0
            values[0] *= 1e-5
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    made = insert(to_half(lopsided, EDGES), lopsided, place(lopsided, ()), LIMITS)
    image = {"image": np.random.default_rng(3).integers(0, 256, (1, 24, 24, 3), dtype=np.uint8)}
    with CpuBackend(lopsided.SerializeToString()) as exact, CpuBackend(made.SerializeToString()) as int8:
        gap = exact.run(image)["y"].astype(int) - int8.run(image)["y"]
    assert np.abs(gap).mean() < 4


def test_tensorrt_rtx_parses_it_and_counts_both_kinds_of_convolution(quantized):
    trt = pytest.importorskip("tensorrt_rtx_bindings")
    from trtkit.build_engines.precision_share import share_of_network

    logger = trt.Logger(trt.Logger.ERROR)
    parsed = trt.Builder(logger).create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(parsed, logger)
    assert parser.parse(quantized.SerializeToString()), parser.get_error(0).desc()
    share = share_of_network(trt, parsed)
    assert (share.compute_layers, share.int8) == (5, 3)


def test_it_is_symmetric_signed_and_leaves_biases_alone(quantized):
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantized.graph.initializer}
    kinds = [node.op_type for node in quantized.graph.node]
    assert (kinds.count("QuantizeLinear"), kinds.count("DequantizeLinear")) == (3, 6)
    for node in quantized.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale, zero = constants[node.input[1]], constants[node.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any()
            assert (scale > 0).all()
            assert np.isfinite(scale).all()
        if node.op_type.startswith("Conv"):
            assert "dequantized" not in node.input[2]


def test_activations_have_one_scale_and_weights_one_a_channel(quantized):
    dequantize = {node.output[0]: node for node in quantized.graph.node if node.op_type == "DequantizeLinear"}
    shapes = {tensor.name: tuple(tensor.dims) for tensor in quantized.graph.initializer}
    for name, axis, channels in (("b", 1, 6), ("c", 0, 5)):
        node = next(node for node in quantized.graph.node if node.name == name)
        assert shapes[dequantize[node.input[0]].input[1]] == ()
        weights = dequantize[node.input[1]]
        assert shapes[weights.input[1]] == (channels,)
        assert [attribute.i for attribute in weights.attribute if attribute.name == "axis"] == [axis]
        assert shapes[weights.input[0]] == shapes_of(EXACT)[f"{name}.w"]


def shapes_of(model):
    return {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}


def test_around_half_convolutions_the_scales_are_half():
    made = insert(to_half(EXACT, EDGES), EXACT, place(EXACT, ()), LIMITS)
    types = {tensor.name: tensor.data_type for tensor in made.graph.initializer}
    assert types["2.scale"] == types["b.w.scale"] == TensorProto.FLOAT16
    inferred = onnx.shape_inference.infer_shapes(made, strict_mode=True)
    found = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    assert found["5"] == TensorProto.FLOAT16


def test_the_given_models_are_left_as_they_were():
    before, typed = EXACT.SerializeToString(), to_half(EXACT, EDGES)
    as_it_was = typed.SerializeToString()
    insert(typed, EXACT, place(EXACT, ()), LIMITS)
    assert EXACT.SerializeToString() == before
    assert typed.SerializeToString() == as_it_was


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("axis", [0, 1])
def test_weights_are_off_by_half_a_step_at_most(axis, dtype):
    weights = np.random.default_rng(3).standard_normal((6, 5, 3, 3)).astype(np.float32)
    weights[2] *= 1e-3
    steps, scales = quantize_weights(weights, axis, dtype)
    shape = (-1, 1, 1, 1) if axis == 0 else (1, -1, 1, 1)
    restored = steps * scales.astype(np.float32).reshape(shape)
    # Half of a step, and the rounding of the scale itself on the largest weight.
    assert (np.abs(restored - weights) <= scales.astype(np.float32).reshape(shape) * (0.5 + LEVELS * 2**-11)).all()
    assert np.abs(steps).max() == LEVELS
    assert steps.dtype == np.int8


def test_a_channel_of_zeros_has_a_scale():
    weights = np.zeros((3, 2, 1, 1), np.float32)
    weights[0] = 1
    steps, scales = quantize_weights(weights, 0, np.float16)
    assert (scales >= SMALLEST_SCALE).all()
    assert not steps[1:].any()


def test_a_tiny_range_gets_the_least_normal_scale():
    made = insert(EXACT, EXACT, place(EXACT, ()), {"2": 1e-9, "3": 1.0, "4": 1.0})
    scale = next(numpy_helper.to_array(t) for t in made.graph.initializer if t.name == "2.scale")
    assert scale == SMALLEST_SCALE
