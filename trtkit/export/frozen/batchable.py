"""Which nodes treat the first axis as a batch: what they give for one row depends on that row alone.

A network cut out of a frozen graph gets a batch axis where the graph had a 1. That is right exactly if each of its
nodes passes this judgement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from onnx import NodeProto, TensorProto, helper, numpy_helper

from trtkit.export.frozen.scope import Scope

CONVOLUTIONS = ("Conv", "ConvTranspose")

_ELEMENTWISE = {
    *("Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus", "Clip"),
    *("Exp", "Log", "Sqrt", "Abs", "Neg", "Reciprocal", "Floor", "Ceil", "Round", "Erf", "Identity"),
    *("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "Sum", "Mean"),
}
_WINDOWS = {"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "DepthToSpace", "SpaceToDepth", "LRN"}
_REDUCTIONS = {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceL2"}


def is_batchable(node: NodeProto, scope: Scope) -> bool:
    """True if `node` works on float32 tensors whose axes after the first are fixed, row by row."""
    data = [name for name in node.input if name and name not in scope.constants and not _is_shape_input(node, name)]
    tensors = [*data, *(name for name in node.output if name)]
    if node.domain not in ("", "ai.onnx") or not data or not all(_is_image(name, scope) for name in tensors):
        return False
    if node.op_type in _ELEMENTWISE:
        return _broadcasts_over_rows(node, data, scope)
    if node.op_type in _WINDOWS:
        return True
    if node.op_type in (*CONVOLUTIONS, "BatchNormalization", "InstanceNormalization"):
        return len(data) == 1 and data[0] == node.input[0]
    if node.op_type in _REDUCTIONS:
        return _reduces_inside(node, scope)
    judge = _OTHERS.get(node.op_type)
    return judge is not None and judge(node, scope)


def _is_shape_input(node: NodeProto, name: str) -> bool:
    """Resize takes its size in inputs that a cut network states as scales."""
    return node.op_type == "Resize" and name != node.input[0]


def _is_image(name: str, scope: Scope) -> bool:
    shape = scope.shapes.get(name)
    return (
        scope.types.get(name) == TensorProto.FLOAT
        and shape is not None
        and len(shape) >= 2
        and shape[0] in (1, None)
        and all(size is not None for size in shape[1:])
    )


def _broadcasts_over_rows(node: NodeProto, data: list[str], scope: Scope) -> bool:
    rank = len(scope.shapes[data[0]] or ())
    if any(len(scope.shapes[name] or ()) != rank for name in data):
        return False
    for name in node.input:
        if name in scope.constants:
            dims = scope.constants[name].dims
            if len(dims) > rank or (len(dims) == rank and dims[0] != 1):
                return False
    return True


def _axis(node: NodeProto, default: int, rank: int) -> int:
    axis: int = attribute(node, "axis", default)
    return axis + rank if axis < 0 else axis


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    found = next((a for a in node.attribute if a.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def _axes(node: NodeProto, position: int, scope: Scope) -> list[int] | None:
    """Axes given by an attribute or a constant input, counted from the front; None if they are not known."""
    rank = len(scope.shapes[node.input[0]] or ())
    given = attribute(node, "axes", None)
    if given is None and len(node.input) > position and node.input[position]:
        tensor = scope.constants.get(node.input[position])
        given = None if tensor is None else numpy_helper.to_array(tensor).ravel().tolist()
    return None if given is None else [int(a) % rank for a in given]


def _reduces_inside(node: NodeProto, scope: Scope) -> bool:
    axes = _axes(node, 1, scope)
    return bool(axes) and 0 not in (axes or ())


def _concat(node: NodeProto, scope: Scope) -> bool:
    ranks = {len(scope.shapes[name] or ()) for name in node.input if name not in scope.constants}
    return not any(name in scope.constants for name in node.input) and _axis(node, 0, ranks.pop()) != 0


def _transpose(node: NodeProto, scope: Scope) -> bool:
    perm = attribute(node, "perm", None)
    return perm is not None and perm[0] == 0


def _reshape(node: NodeProto, scope: Scope) -> bool:
    """Only one whose first axis stays what it was; the cut network says so with a 0."""
    before, after = scope.shapes[node.input[0]] or (), scope.shapes[node.output[0]] or ()
    inner = 1
    for size in before[1:]:
        inner *= size or 0
    for size in after[1:]:
        inner //= size or 1
    return node.input[1] in scope.constants and inner == 1


def _moves_axes(node: NodeProto, scope: Scope) -> bool:
    axes = attribute(node, "axes", None)
    if axes is None and len(node.input) > 1 and node.input[1] in scope.constants:
        axes = numpy_helper.to_array(scope.constants[node.input[1]]).ravel().tolist()
    if axes is None:
        return False
    # Unsqueeze counts axes in its output, Squeeze in its input.
    counted = scope.shapes[node.output[0] if node.op_type == "Unsqueeze" else node.input[0]] or ()
    return all(int(a) % len(counted) != 0 for a in axes)


def _slice(node: NodeProto, scope: Scope) -> bool:
    axes = _axes(node, 3, scope)
    known = all(name in scope.constants for name in node.input[1:] if name)
    return known and axes is not None and 0 not in axes


def _pad(node: NodeProto, scope: Scope) -> bool:
    if len(node.input) > 3 and node.input[3]:
        return False
    if any(name not in scope.constants for name in node.input[1:] if name):
        return False
    pads = numpy_helper.to_array(scope.constants[node.input[1]])
    return bool(pads[0] == 0 and pads[len(pads) // 2] == 0)


def _softmax(node: NodeProto, scope: Scope) -> bool:
    return _axis(node, -1, len(scope.shapes[node.input[0]] or ())) != 0


def _matmul(node: NodeProto, scope: Scope) -> bool:
    return node.input[1] in scope.constants and not attribute(node, "transA", 0)


_OTHERS: dict[str, Callable[[NodeProto, Scope], bool]] = {
    "Resize": lambda node, scope: len(scope.shapes[node.input[0]] or ()) == 4,
    "Concat": _concat,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Squeeze": _moves_axes,
    "Unsqueeze": _moves_axes,
    "Slice": _slice,
    "Pad": _pad,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "Gemm": _matmul,
}
