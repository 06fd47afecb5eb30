"""Where quantization goes: which convolutions compute in INT8, and which tensors they read as INT8.

The rules follow from how TensorRT fuses an explicit Q/DQ graph. A convolution computes in INT8 if data and weights
both come from a DequantizeLinear; what it gives is quantized by the pair of whoever reads it next. So pairs stand at
the convolutions' inputs, one a tensor. Pooling, concatenation and zero padding before them move or select values, and
TensorRT moves the pair through them towards the producer: the tensors around them form a group that has one scale,
which makes that exact. (Pairs on both sides of a concatenation say the same and give the same engine, but ONNX Runtime
fuses them to a QLinearConcat, which half-precision scales make invalid.) A sum reads the residual side through the
pair that it has for a convolution's sake, and the side that comes fresh from a convolution as it is, for TensorRT to
fuse the sum into that convolution.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from onnx import ModelProto, NodeProto, numpy_helper

from trtkit.errors import Mistake
from trtkit.export.half import is_kept

COMPUTE = ("Conv", "ConvTranspose")
_PASSING = ("MaxPool", "Concat", "Pad")
"""Operators that only move or select values: INT8 in, INT8 out, one scale."""


@dataclass(frozen=True)
class Placement:
    """What is quantized. All names are the FP32 graph's."""

    convolutions: tuple[str, ...]
    """Node names, in the graph's order."""
    left_out: tuple[str, ...]
    """Convolutions that stay as they are: the first, the last, and those on the block list."""
    groups: tuple[tuple[str, ...], ...]
    """The tensors that get a Q/DQ pair, and those that a pair may move to; one group has one scale. In the graph's
    order."""
    readers: dict[str, int]
    """Node name → position of the input that it reads through a pair; all others read the tensor itself."""

    @property
    def tensors(self) -> list[str]:
        return [name for group in self.groups for name in group]


def candidates(model: ModelProto) -> list[NodeProto]:
    """Convolutions with constant weights that may be quantized: all but the first and the last.

    The first reads the picture itself and the last writes the result: little work, and their errors are seen.
    """
    return with_weights(model)[1:-1]


def with_weights(model: ModelProto) -> list[NodeProto]:
    """Convolutions with constant weights, in the graph's order."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [node for node in model.graph.node if node.op_type in COMPUTE and node.input[1] in weights]


def measurable(model: ModelProto) -> list[str]:
    """Every tensor that a placement may put a pair on, whatever its block list says. Raises Mistake as `place` does.

    Of a sum whose sides both come fresh from convolutions, either may be the one that is read quantized.
    """
    everything = place(model, ())
    fresh = {name for node in candidates(model) for name in node.output}
    sums = [node for node in model.graph.node if node.op_type == "Add" and set(node.input) <= fresh]
    return list(dict.fromkeys([*everything.tensors, *(name for node in sums for name in node.input)]))


def place(model: ModelProto, keep: Iterable[str], only: Iterable[str] | None = None) -> Placement:
    """The placement for the FP32 `model` (named nodes).

    `keep` are node-name prefixes that stay unquantized; `only`, if given, are the only nodes to quantize. Raises
    Mistake naming an entry of `keep` that no convolution has, and a model without a convolution to quantize.
    """
    keep, allowed = set(keep), None if only is None else set(only)
    compute = [node for node in model.graph.node if node.op_type in COMPUTE]
    for entry in sorted(keep):
        if not any(is_kept(node, {entry}) for node in compute):
            raise Mistake(f"int8.keep_fp16: no convolution is called '{entry}' or lies in a module of that name")
    chosen = [
        node for node in candidates(model) if not is_kept(node, keep) and (allowed is None or node.name in allowed)
    ]
    if not chosen:
        raise Mistake("no convolution is left to quantize: the network has too few, or int8.keep_fp16 names them all")
    return _placement(model, [node.name for node in chosen])


def _placement(model: ModelProto, names: list[str]) -> Placement:
    chosen = set(names)
    producer = {name: node for node in model.graph.node for name in node.output}
    group_of: dict[str, set[str]] = {}

    def join(tensor: str) -> set[str]:
        """Give `tensor` a pair, and what it was pooled or concatenated from; gives its group."""
        if tensor in group_of:
            return group_of[tensor]
        group = group_of[tensor] = {tensor}
        node = producer.get(tensor)
        if node is not None and _passes(model, node):
            for source in node.input if node.op_type == "Concat" else node.input[:1]:
                merged = group | join(source)
                for member in merged:
                    group_of[member] = merged
                group = merged
        return group

    readers: dict[str, int] = {}
    for node in model.graph.node:
        if node.name in chosen:
            join(node.input[0])
            readers[node.name] = 0
    paired = {node.input[0] for node in model.graph.node if node.name in chosen}
    for node in model.graph.node:
        side = _residual(producer, node, chosen, paired)
        if side is not None:
            join(node.input[side])
            readers[node.name] = side
    order = {name: i for i, name in enumerate(name for node in model.graph.node for name in node.output)}
    groups = {tuple(sorted(group, key=lambda name: order.get(name, -1))) for group in group_of.values()}
    return Placement(
        convolutions=tuple(names),
        left_out=tuple(node.name for node in model.graph.node if node.op_type in COMPUTE and node.name not in chosen),
        groups=tuple(sorted(groups, key=lambda group: order.get(group[0], -1))),
        readers=readers,
    )


def _passes(model: ModelProto, node: NodeProto) -> bool:
    if node.op_type != "Pad":
        return node.op_type in _PASSING
    if any(attribute.name == "mode" and attribute.s != b"constant" for attribute in node.attribute):
        return False
    if len(node.input) < 3 or not node.input[2]:
        return True
    filling = next((tensor for tensor in model.graph.initializer if tensor.name == node.input[2]), None)
    return filling is not None and not numpy_helper.to_array(filling).any()


def _residual(producer: dict[str, NodeProto], node: NodeProto, chosen: set[str], paired: set[str]) -> int | None:
    """Position of the side of a sum that is read quantized, None for any other node and where neither side is.

    That is the one that a convolution reads quantized anyway; where both sides come fresh from convolutions, one of
    them all the same, or the sum would leave INT8. Of two, the one with fewer convolutions behind it.
    """
    if node.op_type != "Add" or not all(name in producer for name in node.input):
        return None
    sides = [position for position, name in enumerate(node.input) if name in paired]
    if not sides and all(producer[name].name in chosen for name in node.input):
        sides = [0, 1]
    return min(sides, key=lambda position: _depth(producer, node.input[position]), default=None)


def _depth(producer: dict[str, NodeProto], tensor: str) -> int:
    """Most convolutions on a way from the network's input to `tensor`."""
    depths: dict[str, int] = {}
    pending = [tensor]
    while pending:
        name = pending[-1]
        node = producer.get(name)
        missing = [source for source in node.input if source in producer and source not in depths] if node else []
        if missing:
            pending += missing
            continue
        before = [depths[source] for source in node.input if source in depths] if node else []
        depths[name] = max(before, default=0) + (node is not None and node.op_type in COMPUTE)
        pending.pop()
    return depths[tensor]
