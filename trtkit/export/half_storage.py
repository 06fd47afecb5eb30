"""Weights stored as half, computed as float: how an embedded ONNX is half its size and loses nothing.

Only a tensor whose every value survives float → half → float is stored so, followed by a Cast that ONNX Runtime folds
at load. `expand` gives back the plain FP32 graph, byte for byte.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from trtkit.export.edit import copy_of, replace_nodes

_SUFFIX = ".stored"
_LOAD = "/load"


def compress(model: ModelProto) -> ModelProto:
    """A copy of the FP32 `model` with every exactly representable weight stored in half."""
    stored = copy_of(model)
    casts = []
    for tensor in stored.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16)
        if values.ndim and np.array_equal(half.astype(np.float32), values):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(half, name + _SUFFIX))
            casts.append(helper.make_node("Cast", [name + _SUFFIX], [name], name=name + _LOAD, to=TensorProto.FLOAT))
    replace_nodes(stored, [*casts, *stored.graph.node])
    return stored


def expand(model: ModelProto) -> ModelProto:
    """The plain FP32 graph that `compress` was given."""
    plain = copy_of(model)
    for tensor in plain.graph.initializer:
        if tensor.name.endswith(_SUFFIX):
            name = tensor.name.removesuffix(_SUFFIX)
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), name))
    replace_nodes(plain, [node for node in plain.graph.node if not node.name.endswith(_LOAD)])
    return plain
