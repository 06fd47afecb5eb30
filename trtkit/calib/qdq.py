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

from trtkit.calib.placement import COMPUTE, Placement, data_inputs
from trtkit.export.edit import copy_of, replace_nodes
from trtkit.export.half import drop_unused_weights

LEVELS = 127
"""-127..127: -128 would make the range lopsided, and TensorRT's symmetric range leaves it out."""

SMALLEST_SCALE = 2.0**-14
"""The least normal half: a smaller scale would itself be quantized coarsely."""


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
            for i, name in enumerate(data_inputs(source)):
                if name in scales:
                    if node.input[i] not in pairs:
                        pairs[node.input[i]] = _pair(graph, nodes, node.input[i], dtype(scales[name]))
                    node.input[i] = pairs[node.input[i]]
            if node.op_type in COMPUTE:
                if node.input[1] not in pairs:
                    axis = 1 if node.op_type == "ConvTranspose" else 0
                    pairs[node.input[1]] = _weights(graph, nodes, weights[source.input[1]], axis, dtype)
                node.input[1] = pairs[node.input[1]]
        nodes.append(node)
    replace_nodes(made, nodes)
    del graph.value_info[:]
    drop_unused_weights(made)
    helper.set_model_props(made, {p.key: p.value for p in model.metadata_props} | {"precision": "int8"})
    return made


def quantize_weights(weights: np.ndarray, axis: int, dtype: type) -> tuple[np.ndarray, np.ndarray]:
    """float32 weights → (int8 of the same shape, scales [channels] of `dtype`), a scale a channel of `axis`.

    A channel of zeros gets a scale all the same: 0 divided by it is 0.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    scales = np.maximum(np.abs(weights).max(axis=others) / LEVELS, SMALLEST_SCALE).astype(dtype)
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


def _weights(graph: GraphProto, nodes: list[NodeProto], tensor: TensorProto, axis: int, dtype: type) -> str:
    """Store a weight as int8 and append its DequantizeLinear; gives the dequantized tensor's name."""
    steps, scales = quantize_weights(numpy_helper.to_array(tensor), axis, dtype)
    name = tensor.name
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
