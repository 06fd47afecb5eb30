"""Scales and a placement → the explicit Q/DQ graph: symmetric, int8, zero points 0, no pair on a bias.

That is all TensorRT's importer takes: it refuses asymmetric and uint8 zero points and a dequantized int32 bias. The
pairs go into whichever form they are given: around half-precision convolutions the scales are half (opset 19 on), so
a convolution's weights are rounded to the grid of the scale that is really used.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from trtkit.calib.placement import COMPUTE, Placement
from trtkit.export.edit import copy_of, replace_nodes
from trtkit.export.half import drop_unused_weights

LEVELS = 127
"""-127..127: -128 would make the range lopsided, and TensorRT's symmetric range leaves it out."""

SMALLEST_SCALE = 2.0**-14
"""The least normal half: a smaller scale would itself be quantized coarsely."""

_MOST_STEPS = 2.0**15
_SMALLEST_STEP = 2.0**-20


def insert(model: ModelProto, exact: ModelProto, placement: Placement, limits: Mapping[str, float]) -> ModelProto:
    """A copy of `model` with the pairs of `placement`.

    `model` is the FP32 graph or its to_half form; `exact` the FP32 graph, for the weights' full precision; `limits`
    the largest magnitude of each tensor that is still represented (group members share the group's largest).
    """
    made = onnx.shape_inference.infer_shapes(copy_of(model))
    graph = made.graph
    half = {value.name for value in graph.value_info if value.type.tensor_type.elem_type == TensorProto.FLOAT16}
    weights = {tensor.name: tensor for tensor in exact.graph.initializer}
    sources = {node.name: node for node in exact.graph.node}
    scales = {name: max(limits[member] for member in group) / LEVELS for group in placement.groups for name in group}
    pairs: dict[str, str] = {}
    nodes: list[NodeProto] = []
    for node in graph.node:
        source = sources.get(node.name)
        if source is not None and node.name in placement.readers:
            dtype = np.float16 if node.output[0] in half else np.float32
            side = placement.readers[node.name]
            if node.input[side] not in pairs:
                scale = dtype(scales[source.input[side]])
                pairs[node.input[side]] = _pair(graph, nodes, node.input[side], scale)
            node.input[side] = pairs[node.input[side]]
            if node.op_type in COMPUTE:
                bias = numpy_helper.to_array(weights[source.input[2]]) if len(source.input) > 2 else np.zeros(1)
                least = least_scale(scales[source.input[0]], bias) if dtype is np.float16 else SMALLEST_SCALE
                axis = 1 if node.op_type == "ConvTranspose" else 0
                node.input[1] = _weights(graph, nodes, weights[source.input[1]], axis, dtype, least)
        nodes.append(node)
    replace_nodes(made, nodes)
    del graph.value_info[:]
    drop_unused_weights(made)
    helper.set_model_props(made, {p.key: p.value for p in model.metadata_props} | {"precision": "int8"})
    return made


def least_scale(data_scale: float, bias: np.ndarray) -> np.ndarray:
    """The least weight scale of each channel in half precision, float32 [channels] or a scalar.

    ONNX Runtime quantizes a bias on its own (WeightBiasQuantization), in whole steps of data scale × weight scale,
    and computes that in the graph's half precision: a bias of more than 65504 steps becomes infinite, and a step that
    rounds to 0 makes NaN. Channels whose weights are so small beside their bias lose nothing by a larger scale.
    """
    steps = np.abs(bias) / (_MOST_STEPS * data_scale)
    return np.asarray(np.maximum(steps, max(SMALLEST_SCALE, _SMALLEST_STEP / data_scale)), np.float32)


def quantize_weights(
    weights: np.ndarray, axis: int, dtype: type, least: np.ndarray | float = SMALLEST_SCALE
) -> tuple[np.ndarray, np.ndarray]:
    """float32 weights → (int8 of the same shape, scales [channels] of `dtype`), a scale a channel of `axis`.

    No scale is below `least`, so a channel of zeros has one, too.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scales = np.maximum(np.abs(weights).max(axis=others) / LEVELS, least).astype(dtype)
    shape = [-1 if i == axis else 1 for i in range(weights.ndim)]
    steps = np.rint(weights / scales.astype(np.float32).reshape(shape))
    return np.clip(steps, -LEVELS, LEVELS).astype(np.int8), scales


def _pair(graph: GraphProto, nodes: list[NodeProto], name: str, scale: np.floating) -> str:
    """Append QuantizeLinear and DequantizeLinear of the tensor `name`; gives the dequantized tensor's name."""
    scale = max(scale, type(scale)(SMALLEST_SCALE))
    graph.initializer.append(numpy_helper.from_array(np.array(scale), f"{name}.scale"))
    graph.initializer.append(numpy_helper.from_array(np.array(0, np.int8), f"{name}.zero"))
    constants = [f"{name}.scale", f"{name}.zero"]
    nodes.append(helper.make_node("QuantizeLinear", [name, *constants], [f"{name}.int8"], name=f"{name}/quantize"))
    nodes.append(_dequantize([f"{name}.int8", *constants], name))
    return f"{name}.dequantized"


def _weights(
    graph: GraphProto, nodes: list[NodeProto], tensor: TensorProto, axis: int, dtype: type, least: np.ndarray | float
) -> str:
    """Store a weight as int8 and append its DequantizeLinear; gives the dequantized tensor's name."""
    steps, scales = quantize_weights(numpy_helper.to_array(tensor), axis, dtype, least)
    taken = {kept.name for kept in graph.initializer}
    name = tensor.name
    while f"{name}.int8" in taken:  # two convolutions share it, with scales of their own
        name += "+"
    graph.initializer.append(numpy_helper.from_array(steps, f"{name}.int8"))
    graph.initializer.append(numpy_helper.from_array(scales, f"{name}.scale"))
    graph.initializer.append(numpy_helper.from_array(np.zeros(len(scales), np.int8), f"{name}.zero"))
    nodes.append(_dequantize([f"{name}.int8", f"{name}.scale", f"{name}.zero"], name, axis=axis))
    return f"{name}.dequantized"


def _dequantize(inputs: list[str], name: str, axis: int | None = None) -> NodeProto:
    node = helper.make_node("DequantizeLinear", inputs, [f"{name}.dequantized"], name=f"{name}/dequantize")
    if axis is not None:
        node.attribute.append(helper.make_attribute("axis", axis))
    return node
