"""The generator's parameters out of a frozen TensorFlow graph, without TensorFlow.

A ``.pb`` is a GraphDef message; tensorboardX carries that message compiled. Parameters are the graph's floating-point
constants under ``generator/``, with the names TensorFlow's slim gave its scopes.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trtkit.errors import Mistake
from trtkit.models.dct_net.layers import BLOCK_SCOPES, SCOPES, shapes_of
from trtkit.optional import need

if TYPE_CHECKING:
    from torch import Tensor

_DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype(np.float32), 2: np.dtype(np.float64), 19: np.dtype(np.float16)}
"""DT_FLOAT, DT_DOUBLE, DT_HALF of TensorFlow's types.proto."""


def read_graph(path: Path) -> dict[str, Tensor]:
    """The generator's state dict, float32, convolutions turned from HWIO to OIHW.

    Channels and blocks are read off the graph. Raises Mistake naming the file and the first tensor that is missing,
    unknown or of another shape, or saying that the file is no GraphDef.
    """
    torch = need("torch", "reading a checkpoint")
    constants = _generator_constants(path)
    wanted = _wanted(constants, path)
    state = {}
    for name, (key, shape) in wanted.items():
        if name not in constants:
            raise Mistake(f"--weights {path}: tensor '{name}' {list(shape)} is missing")
        values = _values(name, constants[name], path)
        if values.shape != shape:
            raise Mistake(
                f"--weights {path}: tensor '{name}' has shape {list(values.shape)}, the network's is {list(shape)}"
            )
        oihw = values.transpose(3, 2, 0, 1) if values.ndim == 4 else values
        state[key] = torch.from_numpy(np.array(oihw, np.float32, order="C"))
    for name in constants:
        if name not in wanted:
            raise Mistake(f"--weights {path}: tensor '{name}' is not one of the network's")
    return state


def _generator_constants(path: Path) -> dict[str, Any]:
    """Name → TensorProto of every floating-point constant with axes under generator/."""
    messages = need("tensorboardX.proto.graph_pb2", "reading a frozen TensorFlow graph")
    failures = need("google.protobuf.message", "reading a frozen TensorFlow graph")
    graph = messages.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except (failures.DecodeError, OSError) as error:
        raise Mistake(
            f"--weights {path} is not a whole frozen graph ({' '.join(str(error).split()).rstrip('.')}); "
            "right would be a GraphDef file such as cartoon_bg.pb"
        ) from error
    tensors = {node.name: node.attr["value"].tensor for node in graph.node if node.op == "Const"}
    found = {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith("generator/") and tensor.dtype in _DTYPES and tensor.tensor_shape.dim
    }
    if not found:
        raise Mistake(
            f"--weights {path} holds no tensor under generator/ ({len(graph.node)} nodes in all), so it is not a "
            "frozen graph of DCT-Net; right would be a file such as cartoon_bg.pb"
        )
    return found


def _wanted(constants: dict[str, Any], path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """TensorFlow name → (state dict key, TensorFlow shape) of every parameter a generator of this width has."""
    first = constants.get("generator/Conv/weights")
    if first is None:
        raise Mistake(f"--weights {path}: tensor 'generator/Conv/weights' [7, 7, 3, 32] is missing")
    shape = [dim.size for dim in first.tensor_shape.dim]
    if len(shape) != 4 or shape[:3] != [7, 7, 3] or shape[3] < 1:
        raise Mistake(
            f"--weights {path}: tensor 'generator/Conv/weights' has shape {shape}, the network's is [7, 7, 3, channels]"
        )
    numbers = [name.split("/")[1].removeprefix("block_") for name in constants if "/block_" in name]
    blocks = 1 + max((int(number) for number in numbers if number.isdecimal()), default=-1)
    scopes = dict(SCOPES)
    for block in range(blocks):
        scopes |= {scope.format(block): module.format(block) for scope, module in BLOCK_SCOPES.items()}
    shapes = shapes_of(channels=shape[3], blocks=blocks)
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {}
    for scope, module in scopes.items():
        kernel, inputs, outputs = shapes[module]
        wanted[f"generator/{scope}/weights"] = (f"{module}.weight", (kernel, kernel, inputs, outputs))
        wanted[f"generator/{scope}/biases"] = (f"{module}.bias", (outputs,))
    return wanted


def _values(name: str, tensor: Any, path: Path) -> NDArray:
    """A TensorProto's array: raw bytes, or a list of values whose last one is repeated to the end."""
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    dtype, count = _DTYPES[tensor.dtype], math.prod(shape)
    values: NDArray[Any]
    content = tensor.tensor_content
    if content:
        values = np.frombuffer(content[: len(content) // dtype.itemsize * dtype.itemsize], dtype)
    elif dtype == np.float16:
        values = np.array(tensor.half_val, np.uint16).view(np.float16)
    else:
        values = np.array(tensor.float_val or tensor.double_val, dtype)
    if values.size == 0 and not content:  # TensorFlow leaves out what is 0 everywhere
        values = np.zeros(count, dtype)
    if 0 < values.size < count and not content:
        values = np.concatenate([values, np.full(count - values.size, values[-1])])
    if values.size != count:
        raise Mistake(
            f"--weights {path}: tensor '{name}' holds {values.size:,} values, its shape {list(shape)} needs {count:,}; "
            "the file is damaged"
        )
    return values.reshape(shape)
