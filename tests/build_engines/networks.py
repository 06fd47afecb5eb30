"""Small real image networks in trtkit's form: uint8 NHWC in and out, N, H and W dynamic."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 8


def image_network(precision: str, convolutions: int = 3) -> bytes:
    """Cast, Transpose, convolutions with ReLU in fp32, fp16 or int8 (Q/DQ around fp16), and back to uint8."""
    half = precision != "fp32"
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", ["image"], ["image_float"], to=TensorProto.FLOAT, name="image_float"),
        helper.make_node("Transpose", ["image_float"], ["nchw"], perm=[0, 3, 1, 2], name="nchw"),
        helper.make_node(
            "Cast", ["nchw"], ["x"], to=TensorProto.FLOAT16 if half else TensorProto.FLOAT, name="to_compute"
        ),
    ]
    constants = [scalar("low", 0, np.float32), scalar("high", 255, np.float32)]
    tensor, channels = "x", 3
    for index in range(convolutions):
        kernel = rng.standard_normal((CHANNELS, channels, 3, 3)) * 0.1
        constants.append(numpy_helper.from_array(kernel.astype(np.float16 if half else np.float32), f"w{index}"))
        inputs = [tensor, f"w{index}"]
        if precision == "int8":
            inputs = [quantized(name, nodes, constants) for name in inputs]
        nodes += [
            helper.make_node("Conv", inputs, [f"conv{index}"], pads=[1, 1, 1, 1], name=f"conv{index}"),
            helper.make_node("Relu", [f"conv{index}"], [f"relu{index}"], name=f"relu{index}"),
        ]
        tensor, channels = f"relu{index}", CHANNELS
    nodes += [
        helper.make_node("Cast", [tensor], ["result_float"], to=TensorProto.FLOAT, name="result_float"),
        helper.make_node("Transpose", ["result_float"], ["nhwc"], perm=[0, 2, 3, 1], name="nhwc"),
        helper.make_node("Clip", ["nhwc", "low", "high"], ["clipped"], name="clip"),
        helper.make_node("Cast", ["clipped"], ["result"], to=TensorProto.UINT8, name="result"),
    ]
    graph = helper.make_graph(
        nodes,
        "image_network",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("result", TensorProto.UINT8, ["N", "H", "W", CHANNELS])],
        constants,
    )
    return checked(graph)


def mixed_add() -> bytes:
    """float + half: strong typing refuses it."""
    nodes = [
        helper.make_node("Cast", ["a"], ["a_half"], to=TensorProto.FLOAT16, name="halve"),
        helper.make_node("Add", ["a", "a_half"], ["sum"], name="mixed_sum"),
    ]
    graph = helper.make_graph(
        nodes,
        "mixed",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["N", 4])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def quantized_product() -> bytes:
    """A matrix product [N, 2, 4] x [4, 4] of quantized factors: the parser reshapes the weights to broadcast them."""
    weights = np.eye(4, dtype=np.float16)
    nodes: list[onnx.NodeProto] = []
    constants = [numpy_helper.from_array(weights, "w")]
    factors = [quantized(name, nodes, constants) for name in ("a", "w")]
    nodes.append(helper.make_node("MatMul", factors, ["product"], name="product"))
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT16, ["N", 2, 4])],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT16, ["N", 2, 4])],
        constants,
    )
    return checked(graph)


def quantized(name: str, nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> str:
    """Append QuantizeLinear and DequantizeLinear (symmetric int8, half scale) to `name`; gives the last's output."""
    scale, zero = f"{name}_scale", f"{name}_zero"
    constants += [scalar(scale, 0.05, np.float16), scalar(zero, 0, np.int8)]
    nodes += [
        helper.make_node("QuantizeLinear", [name, scale, zero], [f"{name}_q"], name=f"{name}_q"),
        helper.make_node("DequantizeLinear", [f"{name}_q", scale, zero], [f"{name}_dq"], name=f"{name}_dq"),
    ]
    return f"{name}_dq"


def scalar(name: str, value: float, dtype: type) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value, dtype), name)


def checked(graph: onnx.GraphProto) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
