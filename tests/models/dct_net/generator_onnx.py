"""The generator with its guided filter as an ONNX graph made by hand: any width, random weights, no torch needed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def plan(channels: int) -> list[tuple[str, int, int, int]]:
    """(name, kernel, in, out) of the eighteen convolutions of a network that is `channels` wide."""
    c = channels
    blocks = [(f"block_{k}/conv{j}", 3, 4 * c, 4 * c) for k in range(4) for j in (1, 2)]
    return [
        ("Conv", 7, 3, c),
        ("Conv_1", 3, c, c),
        ("Conv_2", 3, c, 2 * c),
        ("Conv_3", 3, 2 * c, 2 * c),
        ("Conv_4", 3, 2 * c, 4 * c),
        *blocks,
        ("Conv_5", 3, 4 * c, 2 * c),
        ("Conv_6", 3, 2 * c, 2 * c),
        ("Conv_7", 3, 2 * c, c),
        ("Conv_8", 3, c, c),
        ("Conv_9", 7, c, 3),
    ]


def random_weights(channels: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Name → float32 kernel [out, in, k, k] ('/weights') and bias [out] ('/biases'), scaled to keep values near 1."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, k, inward, outward in plan(channels):
        made[f"{name}/weights"] = rng.normal(0, np.sqrt(1.2 / (inward * k * k)), (outward, inward, k, k))
        made[f"{name}/biases"] = rng.normal(0, 0.05, outward)
    return {name: values.astype(np.float32) for name, values in made.items()}


def generator(weights: Mapping[str, np.ndarray], height: int | None = None, width: int | None = None) -> bytes:
    """The serialized model: 'image' uint8 [N, H, W, 3] BGR → 'cartoon' of the same shape; H and W dynamic if None."""
    nodes: list[onnx.NodeProto] = []
    initializers: list[onnx.TensorProto] = []

    def constant(name: str, values: object, dtype: type = np.float32) -> str:
        initializers.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(kind: str, *inputs: str, **attributes: object) -> str:
        name = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def conv(x: str, name: str, stride: int = 1, activate: bool = True) -> str:
        kernel = weights[f"{name}/weights"]
        k = kernel.shape[-1]
        before = (k - 1) // 2 if stride == 1 else 0
        after = k // 2 if stride == 1 else 1
        y = node(
            "Conv",
            x,
            constant(f"{name}/weights", kernel),
            constant(f"{name}/biases", weights[f"{name}/biases"]),
            kernel_shape=[k, k],
            strides=[stride, stride],
            pads=[before, before, after, after],
        )
        return node("LeakyRelu", y, alpha=0.2) if activate else y

    def twice(x: str) -> str:
        scales = "scales"
        return node("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="asymmetric")

    def box(x: str) -> str:
        return node("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=0)

    constant("scales", [1, 1, 2, 2])
    x = node("Cast", "image", to=TensorProto.FLOAT)
    x = node("Transpose", x, perm=[0, 3, 1, 2])
    x = node("Sub", node("Div", x, constant("half", 127.5)), constant("one", 1))
    x0 = conv(x, "Conv")
    x1 = conv(conv(x0, "Conv_1", 2), "Conv_2")
    y = conv(conv(x1, "Conv_3", 2), "Conv_4")
    for k in range(4):
        y = node("Add", y, conv(conv(y, f"block_{k}/conv1"), f"block_{k}/conv2", activate=False))
    y = node("Add", twice(conv(y, "Conv_5")), x1)
    y = node("Add", twice(conv(conv(y, "Conv_6"), "Conv_7")), x0)
    y = conv(conv(y, "Conv_8"), "Conv_9", activate=False)
    mx, my = box(x), box(y)
    covariance = node("Sub", box(node("Mul", x, y)), node("Mul", mx, my))
    variance = node("Sub", box(node("Mul", x, x)), node("Mul", mx, mx))
    a = node("Div", covariance, node("Add", variance, constant("eps", 1e-2)))
    b = node("Sub", my, node("Mul", a, mx))
    out = node("Add", node("Mul", box(a), x), box(b))
    out = node("Clip", out, constant("low", -0.999999), constant("high", 0.999999))
    out = node("Mul", node("Add", out, "one"), "half")
    out = node("Transpose", out, perm=[0, 2, 3, 1])
    nodes.append(helper.make_node("Cast", [out], ["cartoon"], name="to_uint8", to=TensorProto.UINT8))
    shape = ["N", height or "H", width or "W", 3]
    graph = helper.make_graph(
        nodes,
        "generator",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("cartoon", TensorProto.UINT8, shape)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
