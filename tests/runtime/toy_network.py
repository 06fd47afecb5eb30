"""A small real network for tests on a GPU: uint8 images in and out, dynamic N, H and W, convolutions in between."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from trtkit.config import Profile, ShapeRange

PROFILES: list[Profile] = [{"image": ShapeRange(min=[1, 32, 32, 3], opt=[1, 64, 64, 3], max=[8, 64, 64, 3])}]


def toy_network(channels: int = 32, half: bool = False, dynamic_output: bool = False) -> bytes:
    """image uint8 [N, H, W, 3] → map uint8 [N, H, W, 1]: cast, transpose, two convolutions, sigmoid, ×255."""
    noise = np.random.default_rng(0)
    kind = np.float16 if half else np.float32
    number = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    weights = {
        "w1": noise.normal(0, 0.2, (channels, 3, 3, 3)).astype(kind),
        "w2": noise.normal(0, 0.1, (1, channels, 3, 3)).astype(kind),
        "scale": np.array(1 / 127.5, kind),
        "full": np.array(255, kind),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=number),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["planes", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "w1"], ["first"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["first"], ["positive"]),
        helper.make_node("Conv", ["positive", "w2"], ["second"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["second"], ["share"]),
        helper.make_node("Mul", ["share", "full"], ["grey"]),
        helper.make_node("Transpose", ["grey"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["last"], ["map"], to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("map", TensorProto.UINT8, ["K" if dynamic_output else "N", "H", "W", 1])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()
