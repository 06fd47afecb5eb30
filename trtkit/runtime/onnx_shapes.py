"""Ask the network's inputs for sizes, not tensors inside it: what keeps ONNX Runtime's CUDA graphs possible.

`Resize` to the size of a skip wants that size, and an exporter asks a feature map for its batch and channels
(`Shape`). Once ONNX Runtime lays its convolutions out channels-last, such a question costs a transposition of the
answer on the device and a copy back to the host, and a graph with a copy in it cannot be captured. Batch and channels
of every feature map are known in advance: a constant, or an axis of an input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper, numpy_helper


def sizes_from_inputs(model: ModelProto) -> int:
    """Replace each `Shape` of an inner tensor whose answer is constants and input axes; gives how many were.

    `model` is changed in place; its results are the same.
    """
    inputs = {value.name for value in model.graph.input}
    inner = [node for node in model.graph.node if node.op_type == "Shape" and node.input[0] not in inputs]
    if not inner:
        return 0
    axes: dict[str, tuple[str, int]] = {}
    for value in model.graph.input:
        for position, dim in enumerate(value.type.tensor_type.shape.dim):
            if dim.dim_param:
                axes.setdefault(dim.dim_param, (value.name, position))
    inferred = onnx.shape_inference.infer_shapes(model)
    dims = {value.name: value.type.tensor_type.shape.dim for value in inferred.graph.value_info}
    replaced = 0
    nodes: list[NodeProto] = []
    for node in model.graph.node:
        made = _answer(node, dims.get(node.input[0], []), axes, model) if node in inner else None
        replaced += made is not None
        nodes += made or [node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return replaced


def _answer(node: NodeProto, dims: Any, axes: dict[str, tuple[str, int]], model: ModelProto) -> list[NodeProto] | None:
    """Nodes that give what this Shape gives, or None if that takes the tensor itself."""
    limits = {attribute.name: attribute.i for attribute in node.attribute}
    wanted = list(dims)[limits.get("start", 0) : limits.get("end", len(dims))]
    if not wanted or not all(dim.HasField("dim_value") or dim.dim_param in axes for dim in wanted):
        return None
    made: list[NodeProto] = []
    parts: list[str] = []
    for number, dim in enumerate(wanted):
        name = f"{node.output[0]}.{number}"
        parts.append(name)
        if dim.HasField("dim_value"):
            model.graph.initializer.append(numpy_helper.from_array(np.array([dim.dim_value], np.int64), name))
        else:
            source, position = axes[dim.dim_param]
            made.append(helper.make_node("Shape", [source], [name], name=name, start=position, end=position + 1))
    made.append(helper.make_node("Concat", parts, [node.output[0]], name=node.name, axis=0))
    return made
