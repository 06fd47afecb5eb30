"""The ONNX form of a network that ONNX Runtime's CUDA provider is quick with: the same sums in other operators.

ONNX Runtime's kernel for a bilinear Resize moves a tenth of what the memory could and cuDNN's for biases a quarter, a
convolution with three outputs leaves most of a tensor core idle, and a Concat copies what two convolutions could read
in place. TensorRT needs none of this, so the exported file stays as it is and the form is made when the network is
loaded. Half precision alone: the products below would round FP32 to TF32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from trtkit.export.edit import copy_of, replace_nodes
from trtkit.export.half import drop_unused_weights
from trtkit.runtime.interpolation import MODES, matrix
from trtkit.runtime.shapes import Shape, Shapes

_TO_LAST, _TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
"""Between channels first and channels last, which the provider's own layout is: these transpositions cancel out."""
_SMALL = 64
"""Constants of up to so many values may be sizes, which shape inference wants to see."""
_FEW = 4
"""Outputs of a convolution that leave the least tile of a tensor core (32) mostly empty."""
_BLOCK = 4
"""Such a convolution gives a block of so many by so many pixels at once."""
UNDONE_BY = ("ConvAddFusion",)
"""ONNX Runtime's optimizers that must not run on the form: this one puts the biases back."""


@dataclass(frozen=True)
class Stretch:
    """A Resize that became products with two matrices, inputs of the form: [N, H', H] by `rows`, [W, W'] by `columns`.

    `source` is the tensor it stretches, `like` one with the size it stretches to, both of the exported graph.
    """

    rows: str
    columns: str
    source: str
    like: str
    mode: str


@dataclass(frozen=True)
class Form:
    """`content`: the serialized model. Its inputs are the network's own and each stretch's two matrices."""

    content: bytes
    changed: bool
    stretches: tuple[Stretch, ...] = ()
    _sizes: ModelProto = field(default_factory=ModelProto)

    def matrices(self, shapes: Shapes) -> dict[str, np.ndarray]:
        """float16 matrices by input name, for network inputs of `shapes`."""
        if not self.stretches:
            return {}
        known = _infer(self._sizes, shapes)
        made: dict[str, np.ndarray] = {}
        for stretch in self.stretches:
            n, _, height, width = known[stretch.source]
            _, _, tall, wide = known[stretch.like]
            rows = matrix(height, tall, stretch.mode).astype(np.float16)
            made[stretch.rows] = np.ascontiguousarray(np.broadcast_to(rows, (n, tall, height)))
            made[stretch.columns] = np.ascontiguousarray(matrix(width, wide, stretch.mode).T.astype(np.float16))
        return made


def form_for(model: ModelProto, multiple_of: int = 1) -> Form:
    """The quick form of `model`, whose inputs' H and W are multiples of `multiple_of`; `model` itself is kept."""
    made, sizes = copy_of(model), _without_weights(model)
    inferred = onnx.shape_inference.infer_shapes(sizes)
    kinds = {one.name: one.type.tensor_type.elem_type for one in inferred.graph.value_info}
    stretches: list[Stretch] = []
    _rewrite(made, partial(_stretched, graph=model.graph, kinds=kinds, found=stretches))
    if multiple_of % _BLOCK == 0:
        _rewrite(made, partial(_in_blocks, kinds=kinds))
    _rewrite(made, partial(_apart, kinds=kinds))
    _rewrite(made, _bare)
    if stretches and "com.microsoft" not in {one.domain for one in made.opset_import}:
        made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    changed = [*made.graph.node] != [*model.graph.node]
    return Form(made.SerializeToString() if changed else b"", changed, tuple(stretches), sizes)


Rule = Callable[[NodeProto, GraphProto], list[NodeProto] | None]
"""What stands in place of a node of the graph; None where it stays."""


def _rewrite(model: ModelProto, rule: Rule) -> None:
    """Apply `rule` to every node. What nothing needs any more goes, but for the nodes with a network output."""
    nodes: list[NodeProto] = []
    for node in list(model.graph.node):
        nodes += rule(node, model.graph) or [node]
    replace_nodes(model, _needed(nodes, {output.name for output in model.graph.output}))
    drop_unused_weights(model)


def _needed(nodes: list[NodeProto], wanted: set[str]) -> list[NodeProto]:
    kept: list[NodeProto] = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted = wanted.union(node.input)
    return kept[::-1]


def _stretched(
    node: NodeProto, made: GraphProto, graph: GraphProto, kinds: dict[str, int], found: list[Stretch]
) -> list[NodeProto] | None:
    """A bilinear Resize of height and width as two products, with channels last.

    out = rows · (image · columns): the second factor is a product with the image transposed, so its channels come
    before its columns; a product with the unit matrix, again of the transposed, puts them back at memory's speed.
    """
    if node.op_type != "Resize" or kinds.get(node.input[0]) != TensorProto.FLOAT16:
        return None
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    mode = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
    plain = attributes.get("mode") == b"linear" and not attributes.get("antialias") and "axes" not in attributes
    channels, like = _channels(graph, node.input[0]), _like(graph, node)
    if not plain or mode not in MODES or channels is None or like is None:
        return None
    stem, source, target = f"{node.name or node.output[0]}.products", node.input[0], node.output[0]
    stretch = Stretch(f"{stem}.rows", f"{stem}.columns", source, like, mode)
    found.append(stretch)
    for name, shape in ((stretch.rows, [None, None, None]), (stretch.columns, [None, None])):
        made.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT16, shape))
    unit = _constant(made, f"{stem}.unit", np.eye(channels, dtype=np.float16))
    flat = _constant(made, f"{stem}.flat", np.array([0, 0, -1], np.int64))
    deep = _constant(made, f"{stem}.deep", np.array([0, 0, -1, channels], np.int64))
    step = iter(f"{stem}/{number}" for number in range(7))
    turned = partial(helper.make_node, "FusedMatMul", domain="com.microsoft", transA=1)
    return [
        helper.make_node("Transpose", [source], [f"{stem}.last"], next(step), perm=_TO_LAST),
        turned([f"{stem}.last", stretch.columns], [f"{stem}.wide.turned"], next(step)),
        turned([f"{stem}.wide.turned", unit], [f"{stem}.wide"], next(step)),
        helper.make_node("Reshape", [f"{stem}.wide", flat], [f"{stem}.wide.flat"], next(step)),
        helper.make_node("MatMul", [stretch.rows, f"{stem}.wide.flat"], [f"{stem}.tall.flat"], next(step)),
        helper.make_node("Reshape", [f"{stem}.tall.flat", deep], [f"{stem}.tall"], next(step)),
        helper.make_node("Transpose", [f"{stem}.tall"], [target], next(step), perm=_TO_FIRST),
    ]


def _in_blocks(node: NodeProto, made: GraphProto, kinds: dict[str, int]) -> list[NodeProto] | None:
    """A convolution of few outputs as one of stride 4 that gives 4x4 pixels of each at once, then spread out.

    Its kernel is the old one in 16 places of a window 3 larger. H and W have to be multiples of 4.
    """
    if node.op_type != "Conv" or kinds.get(node.input[0]) != TensorProto.FLOAT16:
        return None
    kernel = _value(made, node.input[1])
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    if kernel is None or kernel.ndim != 4:
        return None
    outputs, inputs, size, _ = kernel.shape
    same = [size // 2] * 4
    if outputs > _FEW or size < 5 or kernel.shape[3] != size or size % 2 == 0 or attributes.get("pads") != same:
        return None
    if attributes.get("group", 1) != 1 or any(v != 1 for k in ("strides", "dilations") for v in attributes.get(k, [])):
        return None
    window = np.zeros((_BLOCK, _BLOCK, outputs, inputs, size + _BLOCK - 1, size + _BLOCK - 1), kernel.dtype)
    for y in range(_BLOCK):
        for x in range(_BLOCK):
            window[y, x, :, :, y : y + size, x : x + size] = kernel
    stem = f"{node.name or node.output[0]}.blocks"
    weights = [_constant(made, f"{stem}.weight", window.reshape(-1, *window.shape[3:]))]
    if len(node.input) > 2:
        bias = _value(made, node.input[2])
        if bias is None:
            return None
        weights.append(_constant(made, f"{stem}.bias", np.tile(bias, _BLOCK * _BLOCK)))
    return [
        helper.make_node(
            "Conv", [node.input[0], *weights], [f"{stem}.packed"], f"{stem}/0", pads=same, strides=[_BLOCK, _BLOCK]
        ),
        helper.make_node("DepthToSpace", [f"{stem}.packed"], list(node.output), f"{stem}/1", blocksize=_BLOCK),
    ]


def _apart(node: NodeProto, made: GraphProto, kinds: dict[str, int]) -> list[NodeProto] | None:
    """A convolution of two tensors side by side as the sum of two convolutions; the Concat is left to no one."""
    if node.op_type != "Conv" or kinds.get(node.input[0]) != TensorProto.FLOAT16:
        return None
    joined = next((one for one in made.node if node.input[0] in one.output), None)
    kernel = _value(made, node.input[1])
    users = sum(list(one.input).count(node.input[0]) for one in made.node)
    if joined is None or joined.op_type != "Concat" or len(joined.input) != 2 or users != 1 or kernel is None:
        return None
    if helper.get_attribute_value(joined.attribute[0]) != 1 or kernel.ndim != 4:
        return None
    if any(one.name == "group" and one.i != 1 for one in node.attribute):
        return None
    first = _channels(made, joined.input[0])
    if first is None:
        return None
    stem = f"{node.name or node.output[0]}.apart"
    parts = []
    for number, (source, part) in enumerate(zip(joined.input, (kernel[:, :first], kernel[:, first:]), strict=True)):
        weight = _constant(made, f"{stem}.weight.{number}", np.ascontiguousarray(part))
        bias = list(node.input[2:]) if number == 0 else []
        part_node = helper.make_node("Conv", [source, weight, *bias], [f"{stem}.{number}"], f"{stem}/{number}")
        part_node.attribute.extend(node.attribute)
        parts.append(part_node)
    return [*parts, helper.make_node("Add", [f"{stem}.0", f"{stem}.1"], list(node.output), f"{stem}/2")]


def _bare(node: NodeProto, made: GraphProto) -> list[NodeProto] | None:
    """A convolution and its bias apart: cuDNN adds it in a pass of its own, and slower than ONNX Runtime's Add."""
    if node.op_type != "Conv" or len(node.input) < 3:
        return None
    kernel, bias = (_value(made, name) for name in node.input[1:])
    if kernel is None or bias is None or bias.dtype != np.float16:
        return None
    stem = f"{node.name or node.output[0]}.bare"
    bare = helper.make_node("Conv", node.input[:2], [stem], f"{stem}/0")
    bare.attribute.extend(node.attribute)
    wide = _constant(made, f"{stem}.bias", bias.reshape(-1, *[1] * (kernel.ndim - 2)))
    return [bare, helper.make_node("Add", [stem, wide], list(node.output), f"{stem}/1")]


def _like(graph: GraphProto, node: NodeProto) -> str | None:
    """A tensor whose height and width shape inference knows, and which are those of `node`'s output."""
    scaled = len(node.input) > 2 and node.input[2]
    if scaled and _value(graph, node.input[2]) is not None:
        return str(node.output[0])
    for user in graph.node:
        if user.op_type == "Concat" and node.output[0] in user.input:
            return str(next((other for other in user.input if other != node.output[0]), "")) or None
    return None


def _channels(graph: GraphProto, tensor: str) -> int | None:
    """Channels of what a convolution made, maybe through activations; None of anything else."""
    made_by = {output: node for node in graph.node for output in node.output}
    while (node := made_by.get(tensor)) is not None:
        if node.op_type == "Conv":
            kernel = next((one for one in graph.initializer if one.name == node.input[1]), None)
            return int(kernel.dims[0]) if kernel is not None else None
        if node.op_type not in ("Relu", "LeakyRelu", "MaxPool"):
            return None
        tensor = node.input[0]
    return None


def _value(graph: GraphProto, name: str) -> np.ndarray | None:
    found = next((one for one in graph.initializer if one.name == name), None)
    return None if found is None else numpy_helper.to_array(found)


def _constant(graph: GraphProto, name: str, value: np.ndarray) -> str:
    graph.initializer.append(numpy_helper.from_array(value, name))
    return name


def _without_weights(model: ModelProto) -> ModelProto:
    """`model` with its large constants as inputs: enough for shapes, and small."""
    bare = ModelProto()
    bare.ir_version = model.ir_version
    bare.opset_import.extend(model.opset_import)
    graph = bare.graph
    graph.name = model.graph.name
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims) > _SMALL:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
        else:
            graph.initializer.append(tensor)
    return bare


def _infer(bare: ModelProto, shapes: Shapes) -> dict[str, Shape]:
    """Every tensor's shape, where it follows from those of the inputs."""
    sized = copy_of(bare)
    for one in sized.graph.input:
        if one.name in shapes:
            one.type.tensor_type.shape.CopyFrom(
                helper.make_tensor_value_info(one.name, 1, list(shapes[one.name])).type.tensor_type.shape
            )
    for output in sized.graph.output:
        output.type.tensor_type.ClearField("shape")  # 'N', 'H', 'W' would speak against the sizes
    return dict(_known(onnx.shape_inference.infer_shapes(sized).graph.value_info))


def _known(values: Sequence[onnx.ValueInfoProto]) -> Iterator[tuple[str, Shape]]:
    for one in values:
        axes = one.type.tensor_type.shape.dim
        yield one.name, tuple(axis.dim_value for axis in axes)
