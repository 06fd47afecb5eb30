"""FP32 ONNX → the typed FP16 form: every tensor's type is in the graph, nothing is left to a builder's flag.

TensorRT 10 (strong typing), 11 and RTX build exactly what the graph says (rf-detr#1453: an FP16 flag that is ignored
gives silent FP32). onnxconverter-common was tried and left: on a uint8-input graph it leaves ``Cast(to=FLOAT)``
before half consumers, which onnx.checker and ONNX Runtime refuse and TensorRT-RTX accepts.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from trtkit.errors import CheckFailed
from trtkit.export.edit import replace_nodes

HALF_MAX = 65504.0

COMPUTE = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""What a build counts to see which precision a network really computes in."""

NORMS_AND_REDUCTIONS = {
    "InstanceNormalization": "variances overflow half precision (onnxruntime#10079, TensorRT#2691)",
    "LayerNormalization": "variances overflow half precision (TensorRT#2564, #4493)",
    "GroupNormalization": "variances overflow half precision",
    "ReduceMean": "sums of many terms lose half precision's 11 bits",
    "ReduceSum": "sums of many terms lose half precision's 11 bits",
    "ReduceL2": "squares overflow at 256",
    "GlobalAveragePool": "sums of many terms lose half precision's 11 bits",
    "Pow": "squares overflow at 256",
    "Softmax": "exponentials span more than half precision's range",
}
"""Operator types that stay in FP32 in every model, with the reason."""

# Inputs that ONNX defines as float32 or int64 whatever the data is.
_FIXED_INPUTS = {"Resize": {1, 2, 3}}
_TYPE_KEEPING = {"Cast", "Shape", "Size", "QuantizeLinear", "DequantizeLinear"}


def to_half(model: ModelProto, keep_fp32: Iterable[str]) -> ModelProto:
    """A typed FP16 copy of `model`.

    `keep_fp32` are operator types or node-name prefixes (a module's name) that stay in FP32, beside
    NORMS_AND_REDUCTIONS. Inputs and outputs keep their types. Casts stand only where the precision changes, one a
    tensor. Raises CheckFailed, naming the tensor, if a weight does not fit half precision.
    """
    kept = {*NORMS_AND_REDUCTIONS, *keep_fp32}
    half = onnx.shape_inference.infer_shapes(model, data_prop=True)
    _constants_to_weights(half)
    types = _element_types(half)
    graph = half.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    produced_half: set[str] = set()
    converted: dict[tuple[str, int], str] = {}
    nodes: list[NodeProto] = []
    for node in graph.node:
        floats = [i for i, name in enumerate(node.input) if types.get(name) == TensorProto.FLOAT]
        is_float = bool(floats) or any(types.get(name) == TensorProto.FLOAT for name in node.output)
        wants_half = is_float and node.op_type not in _TYPE_KEEPING and not is_kept(node, kept)
        for i in floats:
            name = node.input[i]
            if i in _FIXED_INPUTS.get(node.op_type, ()):
                continue
            if node.op_type in _TYPE_KEEPING and node.op_type != "Cast":
                continue
            target = TensorProto.FLOAT16 if wants_half else TensorProto.FLOAT
            if name in weights:
                if wants_half:
                    node.input[i] = _half_weight(name, weights, converted, graph, node)
            elif (name in produced_half) != wants_half:
                key = (name, target)
                if key not in converted:
                    converted[key] = f"{name}.{'half' if wants_half else 'float'}"
                    nodes.append(
                        helper.make_node("Cast", [name], [converted[key]], name=f"{converted[key]}/cast", to=target)
                    )
                node.input[i] = converted[key]
        if wants_half:
            produced_half.update(name for name in node.output if types.get(name) == TensorProto.FLOAT)
            _half_attributes(node)
        nodes.append(node)
    _keep_outputs_float(graph, types, produced_half, nodes)
    replace_nodes(half, nodes)
    del graph.value_info[:]
    drop_unused_weights(half)
    onnx.helper.set_model_props(half, {p.key: p.value for p in model.metadata_props} | {"precision": "fp16"})
    return half


def _constants_to_weights(model: ModelProto) -> None:
    """Float Constant nodes become initializers: one read by both precisions must not be halved for the FP32 side."""
    constants = {}
    for node in model.graph.node:
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and value is not None and value.data_type == TensorProto.FLOAT:
            constants[node.output[0]] = numpy_helper.to_array(value)
    replace_nodes(model, [node for node in model.graph.node if not set(node.output) & set(constants)])
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())


def _element_types(model: ModelProto) -> dict[str, int]:
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for value in [*model.graph.input, *model.graph.value_info, *model.graph.output]:
        types[value.name] = value.type.tensor_type.elem_type
    return types


def is_kept(node: NodeProto, kept: set[str]) -> bool:
    """True if `kept` names the node's type, the node itself, or a module around it."""
    return node.op_type in kept or any(
        node.name == prefix or node.name.startswith((f"{prefix}.", f"{prefix}/")) for prefix in kept
    )


def _half_weight(
    name: str,
    weights: dict[str, TensorProto],
    converted: dict[tuple[str, int], str],
    graph: onnx.GraphProto,
    node: NodeProto,
) -> str:
    key = (name, TensorProto.FLOAT16)
    if key not in converted:
        values = numpy_helper.to_array(weights[name])
        worst = float(np.abs(values).max(initial=0.0))
        if not worst <= HALF_MAX:
            raise CheckFailed(
                f"tensor '{name}' holds {worst:g}, more than half precision's {HALF_MAX:g}; leave its node in FP32 "
                f"with keep_fp32: [{node.name or node.op_type}] under its network in engines.yaml"
            )
        converted[key] = f"{name}.half"
        graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), converted[key]))
    return converted[key]


def _half_attributes(node: NodeProto) -> None:
    """Constants and fills carry their type in an attribute."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == TensorProto.FLOAT:
            attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(np.float16)))


def _keep_outputs_float(
    graph: onnx.GraphProto, types: dict[str, int], produced_half: set[str], nodes: list[NodeProto]
) -> None:
    """A float32 output that became half is cast back under its own name."""
    for output in graph.output:
        if types.get(output.name) != TensorProto.FLOAT or output.name not in produced_half:
            continue
        inner = f"{output.name}.half"
        for node in nodes:
            node.input[:] = [inner if name == output.name else name for name in node.input]
            node.output[:] = [inner if name == output.name else name for name in node.output]
        nodes.append(helper.make_node("Cast", [inner], [output.name], name=f"{output.name}/cast", to=TensorProto.FLOAT))


def drop_unused_weights(model: ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
