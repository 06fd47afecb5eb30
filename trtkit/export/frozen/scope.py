"""One graph, or one branch of control flow, with what is known about its tensors; outer tensors are seen through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

Shape = tuple[int | None, ...]


@dataclass
class Scope:
    """`shapes` has None for an axis that is only known at run time, and for a tensor whose rank is not known."""

    graph: GraphProto
    constants: dict[str, TensorProto] = field(default_factory=dict)
    shapes: dict[str, Shape | None] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)

    def inner(self, graph: GraphProto) -> Scope:
        """The scope of a subgraph: it sees everything that this one sees."""
        return enter(graph, self)


def open_model(model: ModelProto) -> Scope:
    """The main graph, its shapes inferred, what is constant computed. `model` is changed."""
    _fold_identities(model.graph)
    _never_below_the_ratio(model.graph, set())
    if not any(entry.domain == "trtkit" for entry in model.opset_import):
        # Without it, inference stops at the first operator of that domain rather than go on behind it.
        model.opset_import.append(onnx.helper.make_opsetid("trtkit", 1))
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    return enter(inferred.graph, None)


def enter(graph: GraphProto, outer: Scope | None) -> Scope:
    scope = Scope(graph)
    if outer is not None:
        scope.constants, scope.shapes, scope.types = dict(outer.constants), dict(outer.shapes), dict(outer.types)
    for tensor in graph.initializer:
        scope.constants[tensor.name] = tensor
        scope.shapes[tensor.name], scope.types[tensor.name] = tuple(tensor.dims), tensor.data_type
    for value in [*graph.input, *graph.value_info, *graph.output]:
        kind = value.type.tensor_type
        scope.types[value.name] = kind.elem_type
        known = kind.HasField("shape")
        scope.shapes[value.name] = (
            tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim) if known else None
        )
    _compute_constants(scope)
    return scope


def _fold_identities(graph: GraphProto) -> None:
    """Names that only stand for another (a frozen variable's read) are replaced by it, in branches too."""
    names: dict[str, str] = {}
    outputs = {value.name for value in graph.output}
    kept = []
    for node in graph.node:
        if node.op_type == "Identity" and node.output[0] not in outputs:
            names[node.output[0]] = names.get(node.input[0], node.input[0])
        else:
            kept.append(node)
    for node in kept:
        _rename(node, names)
    copies = [NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)
    for node in graph.node:
        for subgraph in subgraphs(node):
            _fold_identities(subgraph)


def _never_below_the_ratio(graph: GraphProto, outer: set[str]) -> None:
    """The converter states a size as float32 scales: from 80 to 224 the nearest to 2.8, which is below it, and shape
    inference makes 223 of that. The next float32 is above, by far too little to make 225. `outer`: constants that are
    scales in graphs around this one."""
    scales = outer | {node.input[2] for node in graph.node if node.op_type == "Resize" and len(node.input) > 2}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    tensors |= {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    for name in scales & tensors.keys():
        values = numpy_helper.to_array(tensors[name]).astype(np.float32)
        # One that is a whole number of 4096ths is no rounded ratio.
        raised = np.where(values * 4096 % 1 == 0, values, np.nextafter(values, np.float32(np.inf)))
        tensors[name].CopyFrom(numpy_helper.from_array(raised, tensors[name].name))
    for node in graph.node:
        for subgraph in subgraphs(node):
            _never_below_the_ratio(subgraph, scales)


def _rename(node: NodeProto, names: dict[str, str]) -> None:
    node.input[:] = [names.get(name, name) for name in node.input]
    for subgraph in subgraphs(node):
        for inner in subgraph.node:
            _rename(inner, names)


def _compute_constants(scope: Scope) -> None:
    """Nodes of constants alone become constants: kernels that are scaled in the graph, sizes that are put together."""
    kept = []
    for node in scope.graph.node:
        known = node.input and all(not name or name in scope.constants for name in node.input)
        values = None
        if node.op_type == "Constant" or (known and not any(True for _ in subgraphs(node))):
            values = _evaluate(node, scope)
        if values is not None:
            for name, value in zip(node.output, values, strict=True):
                tensor = numpy_helper.from_array(np.ascontiguousarray(value), name)
                scope.constants[name] = tensor
                scope.shapes[name], scope.types[name] = tuple(tensor.dims), tensor.data_type
        else:
            kept.append(NodeProto.FromString(node.SerializeToString()))
    del scope.graph.node[:]
    scope.graph.node.extend(kept)


def _evaluate(node: NodeProto, scope: Scope) -> list[np.ndarray] | None:
    """The node's values, None where ONNX's own evaluator does not know the operator: then it runs like any other."""
    names = [name for name in node.input if name]
    graph = onnx.helper.make_graph([node], "constant", [], [onnx.ValueInfoProto(name=n) for n in node.output])
    graph.initializer.extend(scope.constants[name] for name in dict.fromkeys(names))
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    try:
        return [np.asarray(value) for value in ReferenceEvaluator(model).run(None, {})]
    except (NotImplementedError, RuntimeError, ValueError, TypeError, IndexError):
        return None


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g


def reads(node: NodeProto) -> list[str]:
    """What a node takes from around it: its inputs, and what its branches see of the scope outside them."""
    names = [name for name in node.input if name]
    for subgraph in subgraphs(node):
        names += free_names(subgraph)
    return list(dict.fromkeys(names))


def free_names(graph: GraphProto) -> list[str]:
    """Names that `graph` uses and does not define."""
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    used = [name for node in graph.node for name in reads(node)] + [value.name for value in graph.output]
    return [name for name in dict.fromkeys(used) if name not in own]
