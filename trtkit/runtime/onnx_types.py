"""ONNX's and ONNX Runtime's words for types and shapes, as NumPy's."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from trtkit.errors import CheckFailed
from trtkit.runtime.shapes import SymbolicShapes

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto

_SMALL = 64
"""Constants of up to so many values may be sizes, which shape inference wants to see."""
_DTYPES = {
    "tensor(bool)": np.bool_,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(uint16)": np.uint16,
    "tensor(int16)": np.int16,
    "tensor(uint32)": np.uint32,
    "tensor(int32)": np.int32,
    "tensor(uint64)": np.uint64,
    "tensor(int64)": np.int64,
    "tensor(float16)": np.float16,
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
}


def numpy_dtype(onnx_type: str) -> np.dtype:
    return np.dtype(_DTYPES[onnx_type])


def dynamic_as_none(shape: Sequence[object]) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in shape)


def symbolic_shapes(model: ModelProto) -> tuple[SymbolicShapes, SymbolicShapes]:
    """Of the inputs that are no constants, and of the outputs as far as they are stated or follow from them. An axis
    that has neither size nor name gets one. Raises CheckFailed for an output of which not even the axes are known."""
    import onnx

    constants = {tensor.name for tensor in model.graph.initializer}
    inferred = onnx.shape_inference.infer_shapes(without_weights(model))

    def shapes(values: Iterable[ValueInfoProto]) -> SymbolicShapes:
        return {
            value.name: tuple(
                axis.dim_value if axis.HasField("dim_value") else axis.dim_param or f"{value.name}[{number}]"
                for number, axis in enumerate(value.type.tensor_type.shape.dim)
            )
            for value in values
            if value.name not in constants
        }

    for output in inferred.graph.output:
        if not output.type.tensor_type.HasField("shape"):
            raise CheckFailed(f"output '{output.name}' of the ONNX model has no shape, so no buffer can be made for it")
    return shapes(model.graph.input), shapes(inferred.graph.output)


def without_weights(model: ModelProto) -> ModelProto:
    """`model` with its large constants as inputs: enough for shapes and types, and small."""
    from onnx import ModelProto as Model
    from onnx import helper

    bare = Model(ir_version=model.ir_version)
    bare.opset_import.extend(model.opset_import)
    graph = bare.graph
    graph.name = model.graph.name or "graph"
    graph.node.extend(model.graph.node)
    graph.input.extend(model.graph.input)
    graph.output.extend(model.graph.output)
    stated = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            graph.initializer.append(tensor)
        elif tensor.name not in stated:
            graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
    return bare
