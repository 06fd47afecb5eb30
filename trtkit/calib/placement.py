"""Where quantization goes: which convolutions compute in INT8, and which tensors they read as INT8.

The rules follow from how TensorRT fuses an explicit Q/DQ graph. A convolution computes in INT8 if data and weights
both come from a DequantizeLinear; what it gives is quantized by the pair of whoever reads it next. A tensor has one
pair, which all its INT8 readers share: so a skip or residual branch is stored in INT8 once, and an Add reads the
residual side dequantized while the side that comes fresh from a convolution stays unquantized, for TensorRT to fuse
the sum into that convolution. Pooling, concatenation and zero padding pass INT8 through where both their sides have
one scale, so the tensors around them form a group.
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
    """The tensors that get a Q/DQ pair; those of one group share one scale. In the graph's order."""
    readers: frozenset[str]
    """Node names that read a quantized tensor through its pair; all others read the tensor itself."""

    @property
    def tensors(self) -> list[str]:
        return [name for group in self.groups for name in group]


def candidates(model: ModelProto) -> list[NodeProto]:
    """Convolutions with constant weights that may be quantized: all but the first and the last.

    The first reads the picture itself and the last writes the result: little work, and their errors are seen.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    found = [node for node in model.graph.node if node.op_type in COMPUTE and node.input[1] in weights]
    return found[1:-1]


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
            for source in data_inputs(node):
                merged = group | join(source)
                for member in merged:
                    group_of[member] = merged
                group = merged
        return group

    for node in model.graph.node:
        if node.name in chosen:
            join(node.input[0])
    for node in model.graph.node:
        if node.op_type == "Add" and (residual := _shorter_branch(producer, node, chosen, group_of)):
            join(residual)
    readers = {
        node.name
        for node in model.graph.node
        if node.name in chosen
        or (_passes(model, node) and node.output[0] in group_of)
        or (node.op_type == "Add" and _is_sum(producer, node) and any(name in group_of for name in node.input))
    }
    order = {name: i for i, name in enumerate(name for node in model.graph.node for name in node.output)}
    groups = {tuple(sorted(group, key=lambda name: order.get(name, -1))) for group in group_of.values()}
    return Placement(
        convolutions=tuple(names),
        left_out=tuple(node.name for node in model.graph.node if node.op_type in COMPUTE and node.name not in chosen),
        groups=tuple(sorted(groups, key=lambda group: order.get(group[0], -1))),
        readers=frozenset(readers),
    )


def data_inputs(node: NodeProto) -> list[str]:
    """The inputs that may be INT8: a convolution's weights have a pair of their own, a pad's sizes are integers."""
    return list(node.input) if node.op_type in ("Concat", "Add") else [node.input[0]]


def _passes(model: ModelProto, node: NodeProto) -> bool:
    if node.op_type != "Pad":
        return node.op_type in _PASSING
    if any(attribute.name == "mode" and attribute.s != b"constant" for attribute in node.attribute):
        return False
    if len(node.input) < 3 or not node.input[2]:
        return True
    filling = next((tensor for tensor in model.graph.initializer if tensor.name == node.input[2]), None)
    return filling is not None and not numpy_helper.to_array(filling).any()


def _is_sum(producer: dict[str, NodeProto], node: NodeProto) -> bool:
    """True for the sum of two computed tensors, not for a constant added to one."""
    return all(name in producer for name in node.input)


def _shorter_branch(
    producer: dict[str, NodeProto], node: NodeProto, chosen: set[str], group_of: dict[str, set[str]]
) -> str | None:
    """The side of a sum to quantize where both sides come straight from a quantized convolution and neither is
    quantized yet: the one with fewer convolutions behind it, a projection beside the main branch. Else None."""
    if not _is_sum(producer, node) or any(name in group_of for name in node.input):
        return None
    if not all(producer[name].name in chosen for name in node.input):
        return None
    shorter: str = min(node.input, key=lambda name: _depth(producer, name))
    return shorter


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
