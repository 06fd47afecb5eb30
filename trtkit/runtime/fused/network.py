"""An ONNX graph in half precision as a Network, or the reason why it cannot be one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from trtkit.runtime.fused.values import (
    Convolution,
    Extent,
    Input,
    Joined,
    MaxPooled,
    Mean,
    Network,
    Operand,
    Pointwise,
    Resized,
    Scaled,
    Value,
    Windowed,
)
from trtkit.runtime.onnx_types import without_weights

OLDEST_OPSET = 13
"""Before it Resize, Clip and others had their arguments elsewhere."""
RESIZE_MODES = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
POINTWISE: dict[str, tuple[int, tuple[tuple[str, float], ...]]] = {
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Min"), (2, ())),
    **dict.fromkeys(("Relu", "Sigmoid", "Tanh"), (1, ())),
    "LeakyRelu": (1, (("alpha", 0.01),)),
}
"""ONNX operator → how many operands it has here, and its attributes that count, with their defaults."""

_HALF, _FLOAT, _BYTE = np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.uint8)
_DTYPES: dict[int, np.dtype] = {TensorProto.FLOAT16: _HALF, TensorProto.FLOAT: _FLOAT, TensorProto.UINT8: _BYTE}
_TO_LAST, _TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
_FEW = 4
"""Channels of a picture, at most; so many outputs of a convolution leave a tensor core's least tile mostly empty."""
_NOT_MANY = 16
"""Outputs, at most, for which blocks help a convolution of a picture."""


class Unfused(Exception):
    """The network has something in it that the kernels have no words for; the message names it."""


def read(model: ModelProto) -> Network:
    """Raises Unfused."""
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if opset < OLDEST_OPSET:
        raise Unfused(f"its opset is {opset}; operators are read as those of {OLDEST_OPSET} and later")
    weights = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    if not any(
        node.op_type == "Conv" and weights.get(node.input[1]) == TensorProto.FLOAT16 for node in model.graph.node
    ):
        raise Unfused("it has no convolution in half precision")
    return _Reader(model).read()


class _Reader:
    """The graph's tensors as values. ONNX's axes are [N, C, H, W] in `_first`, [N, H, W, C] otherwise."""

    def __init__(self, model: ModelProto) -> None:
        self._graph = model.graph
        self._kinds = _element_types(model)
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._values: dict[str, Value] = {}
        self._first: set[str] = set()
        self._made: list[Value] = []

    def read(self) -> Network:
        inputs = [self._input(one) for one in self._graph.input if one.name not in self._constants]
        for node in self._graph.node:
            if not self._is_size(node):
                self._add(node)
        outputs = {}
        for one in self._graph.output:
            if one.name not in self._values:
                raise Unfused(f"output '{one.name}' is no picture")
            outputs[one.name] = self._values[one.name]
        values = _needed(self._made, outputs.values())
        users: dict[Value, list[Value]] = {value: [] for value in values}
        for value in values:
            for source in value.sources:
                users[source].append(value)
        planar = frozenset(self._first.intersection(outputs))
        return Network(tuple(values), tuple(inputs), outputs, planar, users)

    def _input(self, one: onnx.ValueInfoProto) -> Input:
        axes = [axis.dim_value for axis in one.type.tensor_type.shape.dim]
        kind = _DTYPES.get(one.type.tensor_type.elem_type)
        if len(axes) != 4 or kind is None:
            raise Unfused(f"input '{one.name}' is no picture")
        if self._values:
            raise Unfused(f"input '{one.name}' is not the only one")
        planar = 0 < axes[1] <= _FEW
        if not planar and not 0 < axes[3] <= _FEW:
            raise Unfused(f"input '{one.name}' does not say which axis its channels are")
        value = Input(one.name, kind, axes[1] if planar else axes[3], Extent(), planar)
        self._keep(one.name, value, first=planar)
        return value

    def _is_size(self, node: NodeProto) -> bool:
        """It works out sizes, on the host; those follow from the extents here."""
        return all(self._kinds.get(name) in (TensorProto.INT64, TensorProto.INT32) for name in node.output)

    def _add(self, node: NodeProto) -> None:
        add = self._operators().get(node.op_type)
        if add is None or node.domain not in ("", "ai.onnx") or len(node.output) != 1:
            raise _refused(node, "is not among what kernels are written for")
        add(node)

    def _operators(self) -> dict[str, Callable[[NodeProto], None]]:
        return {
            **dict.fromkeys(POINTWISE, self._pointwise),
            "AveragePool": self._average_pool,
            "Cast": self._cast,
            "Clip": self._clip,
            "Concat": self._concat,
            "Conv": self._conv,
            "MaxPool": self._max_pool,
            "Resize": self._resize,
            "Transpose": self._transpose,
        }

    def _keep(self, name: str, value: Value, first: bool) -> None:
        self._made.append(value)
        self._values[name] = value
        if first:
            self._first.add(name)

    def _source(self, node: NodeProto, number: int = 0, first: bool | None = True) -> Value:
        name = node.input[number]
        value = self._values.get(name)
        if value is None or (first is not None and (name in self._first) != first):
            raise _refused(node, f"reads '{name}', which is no picture with its channels where they should be")
        return value

    def _dtype(self, node: NodeProto) -> np.dtype:
        kind = _DTYPES.get(self._kinds.get(node.output[0], 0))
        if kind is None:
            raise _refused(node, "gives a type that is not uint8, float16 or float32")
        return kind

    # --- one method an operator, by its name

    def _conv(self, node: NodeProto) -> None:
        source = self._source(node)
        weight = self._constant(node.input[1])
        found = _attributes(node)
        if weight is None or weight.ndim != 4 or weight.dtype != _HALF or source.dtype != _HALF:
            raise _refused(node, "has no kernel of its own in half precision, in two dimensions")
        group = int(found.get("group", 1))
        if weight.shape[1] * group != source.channels:
            raise _refused(node, f"has a kernel for {weight.shape[1] * group} channels and reads {source.channels}")
        if _is_open(found):
            raise _refused(node, "leaves its padding open")
        kernel = weight.shape[2], weight.shape[3]
        pads = tuple(found.get("pads", (0, 0, 0, 0)))
        strides, dilations = _pair(found, "strides"), _pair(found, "dilations")
        extent = _windowed(source.extent, kernel, strides, pads, dilations)
        made = Convolution(
            node.output[0],
            _HALF,
            int(weight.shape[0]),
            extent,
            source,
            weight,
            pads,
            strides,
            dilations,
            group,
        )
        made = in_blocks(made)
        if len(node.input) < 3 or not node.input[2]:
            self._keep(node.output[0], made, first=True)
            return
        bias = self._constant(node.input[2])
        if bias is None:
            raise _refused(node, "has a bias that is computed")
        self._made.append(made)
        biased = Pointwise(
            f"{node.output[0]}.biased", _HALF, made.channels, extent, "Add", (made, bias.astype(np.float32))
        )
        self._keep(node.output[0], biased, first=True)

    def _pointwise(self, node: NodeProto) -> None:
        found = _attributes(node)
        count, attributes = POINTWISE[node.op_type]
        if len(node.input) != count or self._dtype(node) == _BYTE:
            raise _refused(node, f"is not of {count} operands that are floating-point")
        parameters = tuple(float(found.get(name, usual)) for name, usual in attributes)
        self._keep_pointwise(node, node.op_type, list(node.input), parameters)

    def _clip(self, node: NodeProto) -> None:
        limits = [-np.inf, np.inf]
        if node.attribute or self._dtype(node) == _BYTE:
            raise _refused(node, "has its limits as attributes, or clips bytes")
        for number, name in enumerate(node.input[1:3]):
            limit = self._constant(name) if name else None
            if name and (limit is None or limit.size != 1):
                raise _refused(node, "has limits that are computed")
            if limit is not None:
                limits[number] = float(limit.reshape(-1)[0])
        self._keep_pointwise(node, "Clip", [node.input[0]], tuple(limits))

    def _cast(self, node: NodeProto) -> None:
        if self._dtype(node) == _BYTE and any(node.output[0] in other.input for other in self._graph.node):
            raise _refused(node, "rounds to bytes in the middle of the network")
        self._keep_pointwise(node, "Cast", [node.input[0]], ())

    def _keep_pointwise(self, node: NodeProto, function: str, names: list[str], parameters: tuple[float, ...]) -> None:
        layouts = {name in self._first for name in names if name in self._values}
        if len(layouts) != 1:
            raise _refused(node, "reads tensors whose channels are not in the same place")
        first = layouts.pop()
        operands = tuple(self._operand(node, name, first) for name in names)
        tensors = [one for one in operands if isinstance(one, Value)]
        channels = tensors[0].channels
        widths = {
            one.channels if isinstance(one, Value) else one.size for one in operands if not isinstance(one, float)
        }
        if widths != {channels}:
            raise _refused(node, "spreads one channel over several")
        # A resized tensor has the size of the one it meets: ask that one.
        fixed = next((one for one in tensors if not isinstance(one, Resized)), tensors[0])
        name = node.output[0]
        value = Pointwise(name, self._dtype(node), channels, fixed.extent, function, operands, parameters)
        self._keep(name, value, first)

    def _transpose(self, node: NodeProto) -> None:
        """Nothing to do: in memory the channels are last anyway."""
        turned = list(_attributes(node).get("perm", ()))
        if turned not in (_TO_LAST, _TO_FIRST):
            raise _refused(node, "moves other axes than the channels")
        value = self._source(node, first=turned == _TO_LAST)
        self._values[node.output[0]] = value
        if turned == _TO_FIRST:
            self._first.add(node.output[0])

    def _concat(self, node: NodeProto) -> None:
        parts = tuple(self._source(node, number) for number in range(len(node.input)))
        if _attributes(node)["axis"] not in (1, -3) or len(set(parts)) != len(parts):
            raise _refused(node, "joins other things than different tensors by their channels")
        fixed = next((one for one in parts if not isinstance(one, Resized)), parts[0])
        channels = sum(part.channels for part in parts)
        self._keep(node.output[0], Joined(node.output[0], self._dtype(node), channels, fixed.extent, parts), first=True)

    def _max_pool(self, node: NodeProto) -> None:
        source, found = self._source(node), _attributes(node)
        shape = _pair(found, "kernel_shape"), _pair(found, "strides"), _pair(found, "dilations")
        if shape != ((2, 2), (2, 2), (1, 1)) or any(found.get("pads", ())) or _is_open(found) or found.get("ceil_mode"):
            raise _refused(node, "does not take 2x2 pixels side by side")
        extent = Windowed(source.extent, (2, 2), (2, 2), (0, 0, 0, 0))
        self._keep(node.output[0], MaxPooled(node.output[0], source.dtype, source.channels, extent, source), first=True)

    def _average_pool(self, node: NodeProto) -> None:
        source, found = self._source(node), _attributes(node)
        shape = _pair(found, "kernel_shape"), _pair(found, "strides"), _pair(found, "dilations")
        around = list(found.get("pads", ())) == [1, 1, 1, 1] and not found.get("count_include_pad")
        if shape != ((3, 3), (1, 1), (1, 1)) or not around or _is_open(found):
            raise _refused(node, "is not the mean of those of 3x3 pixels that exist")
        value = Mean(node.output[0], source.dtype, source.channels, source.extent, source)
        self._keep(node.output[0], value, first=True)

    def _resize(self, node: NodeProto) -> None:
        source, found = self._source(node), _attributes(node)
        mode = found.get("coordinate_transformation_mode", b"half_pixel").decode()
        plain = not found.get("antialias") and source.dtype != _BYTE  # bytes would have to be rounded
        bilinear = found.get("mode") == b"linear" and plain and mode in RESIZE_MODES
        if not bilinear or "axes" in found or found.get("keep_aspect_ratio_policy", b"stretch") != b"stretch":
            raise _refused(node, "is not bilinear along height and width")
        extent = self._scaled(node, source) or self._met(node)
        if extent is None:
            raise _refused(node, "has a size that follows from nothing it is joined with")
        self._keep(
            node.output[0], Resized(node.output[0], source.dtype, source.channels, extent, source, mode), first=True
        )

    def _met(self, node: NodeProto) -> Extent | None:
        """The extent of a tensor that `node`'s output is joined with, which is known by now. A sum or product might
        spread one of them over the other."""
        for user in self._graph.node:
            if node.output[0] in user.input and user.op_type == "Concat":
                for name in user.input:
                    if name != node.output[0] and name in self._values:
                        return self._values[name].extent
        return None

    def _scaled(self, node: NodeProto, source: Value) -> Extent | None:
        """The extent by constant factors; None where sizes are given in their place."""
        if len(node.input) < 3 or not node.input[2]:
            return None
        scales = self._constant(node.input[2])
        # Of another factor the size is cut down, and the pixels would not lie where the kernel takes them to be.
        if scales is None or scales.size != 4 or tuple(scales[:2]) != (1, 1) or any(scales % 1) or min(scales) < 1:
            raise _refused(node, "has other factors than whole ones for height and width")
        return Scaled(source.extent, (float(scales[2]), float(scales[3])))

    def _operand(self, node: NodeProto, name: str, first: bool) -> Operand:
        if name in self._values:
            return self._source(node, list(node.input).index(name), first)
        constant = self._constant(name)
        if constant is None:
            raise _refused(node, f"reads '{name}', which is neither a picture nor a constant")
        if not np.isfinite(constant).all() or (node.op_type == "Div" and not constant.all()):
            raise _refused(node, f"reads '{name}', which is not finite, or divides by 0")
        if constant.size == 1:
            return float(constant.reshape(-1)[0])
        shape = constant.shape
        channels_alone = shape[-3:] if first else shape[-1:]
        if constant.size != channels_alone[0] or len(shape) > 4 or (first and len(shape) < 3):
            raise _refused(node, f"reads '{name}', which is not one number a channel")
        return constant.reshape(-1).astype(np.float32)

    def _constant(self, name: str) -> np.ndarray | None:
        found = self._constants.get(name)
        return None if found is None else numpy_helper.to_array(found)


def in_blocks(whole: Convolution) -> Convolution:
    """A convolution of few outputs, or of few inputs and not many outputs, as one that gives 2x2 or 4x4 pixels of each
    at once; any other as it is.

    Its kernel is the old one in 4 or 16 places of a window 1 or 3 larger. Below and on the right it pads as much more,
    so that a part of a block counts as one. On an H200, 8 x 720 x 720 from 32 to 3 channels, 7x7: 0.31 ms in place of
    1.77; 8 x 512 x 512 from 64 to 1, 3x3: 0.20 in place of 0.39; from 4 to 16, 3x3: 0.07 in place of 1.63.
    """
    size = whole.weight.shape[2]
    plain = whole.strides == (1, 1) == whole.dilations and whole.group == 1 and whole.pads == (size // 2,) * 4
    if not plain or whole.weight.shape[3] != size or size % 2 == 0 or size < 3:
        return whole
    if whole.channels <= _FEW:
        block = 4 if size > 3 else 2
    elif whole.weight.shape[1] <= _FEW and whole.channels <= _NOT_MANY and size == 3:
        block = 2
    else:
        return whole
    outputs, inputs = whole.weight.shape[:2]
    window = np.zeros((block, block, outputs, inputs, size + block - 1, size + block - 1), whole.weight.dtype)
    for y in range(block):
        for x in range(block):
            window[y, x, :, :, y : y + size, x : x + size] = whole.weight
    before, after = size // 2, size // 2 + block - 1
    return Convolution(
        whole.name,
        whole.dtype,
        whole.channels,
        whole.extent,
        whole.source,
        window.reshape(-1, *window.shape[3:]),
        (before, before, after, after),
        (block, block),
        block=block,
    )


def _windowed(
    of: Extent, kernel: tuple[int, int], strides: tuple[int, int], pads: Sequence[int], dilations: tuple[int, int]
) -> Extent:
    """The extent behind a window; `of` itself where that is the same."""
    top, left, bottom, right = pads
    reach = [dilations[i] * (kernel[i] - 1) for i in range(2)]
    if strides == (1, 1) and [top + bottom, left + right] == reach:
        return of
    return Windowed(of, kernel, strides, (top, left, bottom, right), dilations)


def _needed(values: list[Value], outputs: Iterable[Value]) -> list[Value]:
    wanted = set(outputs)
    kept = []
    for value in reversed(values):
        if value in wanted or isinstance(value, Input):
            kept.append(value)
            wanted.update(value.sources)
    return kept[::-1]


def _element_types(model: ModelProto) -> dict[str, int]:
    inferred = onnx.shape_inference.infer_shapes(without_weights(model))
    known = {one.name: one.type.tensor_type.elem_type for one in inferred.graph.value_info}
    known |= {one.name: one.type.tensor_type.elem_type for one in inferred.graph.output}
    return known


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {one.name: helper.get_attribute_value(one) for one in node.attribute}


def _pair(attributes: dict[str, Any], name: str) -> tuple[int, int]:
    first, second = attributes.get(name, (1, 1))
    return int(first), int(second)


def _is_open(attributes: dict[str, Any]) -> bool:
    """The padding follows from the size, or from which of two attributes counts."""
    kind = attributes.get("auto_pad", b"NOTSET")
    return kind not in (b"NOTSET", b"VALID") or (kind == b"VALID" and any(attributes.get("pads", ())))


def _refused(node: NodeProto, why: str) -> Unfused:
    return Unfused(f"{node.op_type} '{node.name or node.output[0]}' {why}")
