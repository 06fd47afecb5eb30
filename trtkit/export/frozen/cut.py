"""Pieces of a frozen graph as ONNX models of their own: a core with a batch axis, a stretch of host work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from trtkit import __version__
from trtkit.export.frozen.scope import Scope, reads

OPSET = 18
BATCH = "N"


def cut_core(nodes: Sequence[NodeProto], scope: Scope, outputs: Sequence[str]) -> tuple[ModelProto, list[str]]:
    """(the model, the scope's names of its inputs): first axes are N, tensors are called in1… and out1…"""
    inputs = _taken(nodes, scope)
    names = {name: f"in{i}" for i, name in enumerate(inputs, 1)} | {
        name: f"out{i}" for i, name in enumerate(outputs, 1)
    }
    extra: list[TensorProto] = []
    cut = [_renamed(_for_batches(node, scope, extra), names) for node in nodes]
    values = [
        [_value(names[name], TensorProto.FLOAT, (BATCH, *(scope.shapes[name] or ())[1:])) for name in group]
        for group in (inputs, outputs)
    ]
    model = _model(cut, values[0], values[1], [*_constants(cut, scope), *extra])
    _name_constants(model)
    return model, inputs


def _name_constants(model: ModelProto) -> None:
    """A constant is called after the first node that takes it: of equal ones the converter keeps any."""
    names: dict[str, str] = {}
    constants = {tensor.name for tensor in model.graph.initializer}
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if name in constants:
                names.setdefault(name, f"{node.name}/constant{i}")
                node.input[i] = names[name]
    for tensor in model.graph.initializer:
        tensor.name = names[tensor.name]


def cut_host(nodes: Sequence[NodeProto], scope: Scope, outputs: Sequence[str]) -> tuple[ModelProto, list[str]]:
    """(the model, its inputs): everything keeps its name; axes keep what is known of them."""
    inputs = _taken(nodes, scope)
    values = [
        [_value(name, scope.types.get(name, 0), scope.shapes.get(name)) for name in group]
        for group in (inputs, outputs)
    ]
    return _model(list(nodes), values[0], values[1], _constants(nodes, scope)), inputs


def _taken(nodes: Iterable[NodeProto], scope: Scope) -> list[str]:
    made = {name for node in nodes for name in node.output}
    used = dict.fromkeys(name for node in nodes for name in reads(node))
    return [name for name in used if name not in made and name not in scope.constants]


def _constants(nodes: Iterable[NodeProto], scope: Scope) -> list[TensorProto]:
    used = dict.fromkeys(name for node in nodes for name in reads(node))
    return [scope.constants[name] for name in used if name in scope.constants]


def _value(name: str, kind: int, shape: Sequence[int | str | None] | None) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _model(
    nodes: list[NodeProto], inputs: list[ValueInfoProto], outputs: list[ValueInfoProto], constants: list[TensorProto]
) -> ModelProto:
    kept = []
    for tensor in constants:
        # One encoding for all, whatever the converter used: bytes do not depend on it.
        kept.append(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    graph = helper.make_graph(nodes, "cut", inputs, outputs, kept)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    model.producer_name, model.producer_version = "trtkit", __version__
    return model


def _renamed(node: NodeProto, names: dict[str, str]) -> NodeProto:
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    return node


def _for_batches(node: NodeProto, scope: Scope, extra: list[TensorProto]) -> NodeProto:
    """A copy in which nothing says that the first axis is 1."""
    copy: NodeProto = NodeProto.FromString(node.SerializeToString())
    copy.ClearField("doc_string")
    if node.op_type == "Reshape":
        after = scope.shapes[node.output[0]] or ()
        shape = np.array([0, *(size or 0 for size in after[1:])], np.int64)
        copy.input[1] = f"{node.output[0]}/shape"
        extra.append(numpy_helper.from_array(shape, copy.input[1]))
        kept = [attribute for attribute in copy.attribute if attribute.name != "allowzero"]
        del copy.attribute[:]
        copy.attribute.extend(kept)
    if node.op_type == "Resize":
        before, after = scope.shapes[node.input[0]] or (), scope.shapes[node.output[0]] or ()
        scales = [1.0, *(_scale(a or 1, b or 1) for b, a in zip(before[1:], after[1:], strict=True))]
        name = f"{node.output[0]}/scales"
        extra.append(numpy_helper.from_array(np.array(scales, np.float32), name))
        copy.input[:] = [node.input[0], "", name]
        kept = [attribute for attribute in copy.attribute if attribute.name not in ("axes", "keep_aspect_ratio_policy")]
        kept = [onnx.AttributeProto.FromString(attribute.SerializeToString()) for attribute in kept]
        del copy.attribute[:]
        copy.attribute.extend(kept)
    return copy


def _scale(after: int, before: int) -> float:
    """The least float32 from `after` / `before` up whose product with `before` rounds down to `after`, whether it is
    computed in float32 or, as ONNX's shape inference may, exactly: 80 times float32's 2.8 is 223.999996."""
    scale = np.float32(after / before)
    while before * float(scale) < after:
        scale = np.nextafter(scale, np.float32(np.inf))
    return float(scale)
