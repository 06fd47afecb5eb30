"""Small networks of everything that the fused kernels have words for, and what it takes to run them here."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from tests.runtime.host_cuda import HostCuda, compiled
from trtkit.config import ShapeRange
from trtkit.runtime.fused.convolutions import Convolutions
from trtkit.runtime.fused.program import FusedProgram

HALF, FLOAT, BYTE = TensorProto.FLOAT16, TensorProto.FLOAT, TensorProto.UINT8
_MARGIN = 256
_KINDS = {HALF: np.float16, FLOAT: np.float32}


class Builder:
    """An ONNX graph node by node; constants are noise that follows from their shape and number."""

    def __init__(self, kind: int = HALF) -> None:
        self.kind = kind
        self.nodes: list[NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], f"/{name}", **attributes))
        return name

    def constant(self, value: Any, kind: Any = None) -> str:
        array = np.asarray(value, kind or _KINDS[self.kind])
        self.constants.append(numpy_helper.from_array(array, f"constant{len(self.constants)}"))
        return self.constants[-1].name

    def conv(self, source: str, inputs: int, outputs: int, size: int = 3, bias: bool = True, **attributes: Any) -> str:
        dice = np.random.default_rng(len(self.constants))
        group = attributes.get("group", 1)
        weight = dice.normal(0, (2 / (inputs // group * size * size)) ** 0.5, (outputs, inputs // group, size, size))
        given = [self.constant(weight)]
        if bias:
            given.append(self.constant(dice.normal(0, 0.2, outputs)))
        attributes = {"pads": [size // 2] * 4, **attributes}
        return self.node("Conv", source, *given, **attributes)

    def normalised(self, image: str) -> str:
        """uint8 [N, H, W, C] → -1..1, channels first."""
        planes = self.node("Transpose", self.node("Cast", image, to=FLOAT), perm=[0, 3, 1, 2])
        quotient = self.node("Div", planes, self.constant(127.5, np.float32))
        return self.node("Sub", quotient, self.constant(1.0, np.float32))

    def to_image(self, planes: str, factor: float = 255.0) -> str:
        """0..1, channels first → uint8 [N, H, W, C]."""
        grey = self.node("Mul", self.node("Cast", planes, to=FLOAT), self.constant(factor, np.float32))
        return self.node("Cast", self.node("Transpose", grey, perm=[0, 2, 3, 1]), to=BYTE)

    def like(self, tensor: str, image: str) -> str:
        """The size of `tensor`, but for the height and width of `image` (channels last)."""
        rows_columns = self.node("Shape", image, start=1, end=3)
        return self.node("Concat", self.node("Shape", tensor, start=0, end=2), rows_columns, axis=0)

    def model(self, inputs: tuple, output: str, shape: tuple, kind: int = BYTE) -> ModelProto:
        """`inputs`: name, type and shape; the output, of the last node, is called 'map'."""
        self.nodes[-1].output[0] = "map"
        assert output == f"{self.nodes[-1].name[1:]}"
        return self.model_of(inputs, [("map", kind, shape)])

    def model_of(self, inputs: tuple, outputs: list[tuple]) -> ModelProto:
        """Name, type and shape of the input and of each output."""
        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info(*inputs)],
            [helper.make_tensor_value_info(*output) for output in outputs],
            self.constants,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        onnx.checker.check_model(made, full_check=True)
        return made


def gxx() -> str | None:
    return shutil.which("g++")


IMAGE = ("image", BYTE, ["N", "H", "W", 3])


def two_levels(kind: int = HALF, widths: tuple[int, int] = (8, 16)) -> ModelProto:
    """uint8 [N, H, W, 3] → map uint8 [N, H, W, 2]: halve, back to the skip's size, join, a wide kernel at the end."""
    b, (shallow, deep) = Builder(kind), widths
    x = b.node("Cast", b.normalised("image"), to=kind)
    skip = b.node("Relu", b.conv(x, 3, shallow))
    x = b.node("MaxPool", skip, kernel_shape=[2, 2], strides=[2, 2])
    x = b.node("Relu", b.conv(x, shallow, deep, bias=False))
    x = b.node("Resize", x, "", "", b.like(x, "image"), mode="linear")
    x = b.node("Relu", b.conv(b.node("Concat", skip, x, axis=1), shallow + deep, shallow))
    return b.model(IMAGE, b.to_image(b.node("Sigmoid", b.conv(x, shallow, 2, 7))), ("N", "H", "W", 2))


def guided() -> ModelProto:
    """uint8 [N, H, W, 3] → map uint8 [N, H, W, 3], H and W even: strided and dilated convolutions, a residual block,
    a doubling that meets its skip in a sum, and a guided filter in float32."""
    b = Builder()
    image = b.normalised("image")
    leaky = {"alpha": 0.2}
    x0 = b.node("LeakyRelu", b.conv(b.node("Cast", image, to=HALF), 3, 16, 7), **leaky)
    x = b.node("LeakyRelu", b.conv(x0, 16, 16, strides=[2, 2], pads=[0, 0, 1, 1]), **leaky)
    x = b.node("Add", x, b.conv(x, 16, 16, dilations=[2, 2], pads=[2, 2, 2, 2]))
    x = b.node("LeakyRelu", b.conv(x, 16, 16, group=2), **leaky)
    scales = b.constant([1, 1, 2, 2], np.float32)
    x = b.node("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="asymmetric")
    x = b.node("LeakyRelu", b.conv(b.node("Add", x, x0), 16, 16), **leaky)
    y = b.node("Cast", b.conv(x, 16, 3, 7), to=FLOAT)

    def mean(tensor: str) -> str:
        return b.node("AveragePool", tensor, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1])

    mean_x, mean_y = mean(image), mean(y)
    covariance = b.node("Sub", mean(b.node("Mul", image, y)), b.node("Mul", mean_x, mean_y))
    variance = b.node("Sub", mean(b.node("Mul", image, image)), b.node("Mul", mean_x, mean_x))
    a = b.node("Div", covariance, b.node("Add", variance, b.constant(0.01, np.float32)))
    rest = b.node("Sub", mean_y, b.node("Mul", a, mean_x))
    out = b.node("Add", b.node("Mul", mean(a), image), mean(rest))
    out = b.node("Clip", out, b.constant(-0.999, np.float32), b.constant(0.999, np.float32))
    out = b.node("Add", b.node("Mul", out, b.constant(0.5, np.float32)), b.constant(0.5, np.float32))
    return b.model(IMAGE, b.to_image(out), ("N", "H", "W", 3))


def planar(side: int = 24) -> ModelProto:
    """float32 [N, 3, side, side] → map float32, the same: channels first outside, aligned corners."""
    b = Builder()
    x = b.node("Cast", "texture", to=HALF)
    skip = b.node("Tanh", b.conv(x, 3, 8))
    x = b.node("Relu", b.conv(b.node("MaxPool", skip, kernel_shape=[2, 2], strides=[2, 2]), 8, 8))
    scales = b.constant([1, 1, 2, 2], np.float32)
    x = b.node("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="align_corners")
    x = b.node("Sigmoid", b.conv(b.node("Concat", x, skip, axis=1), 16, 3, 1))
    x = b.node("Cast", b.node("Max", x, b.constant(0.25)), to=FLOAT)
    return b.model(("texture", FLOAT, ["N", 3, side, side]), x, ("N", 3, side, side), FLOAT)


def program_of(model: ModelProto, *most: tuple[int, ...], room: int = 1 << 30) -> tuple[FusedProgram, HostCuda]:
    """The network on this processor, for shapes up to each of `most`."""
    name = model.graph.input[0].name
    cuda = HostCuda(room)
    least = [1, 3, 2, 2] if model.graph.input[0].type.tensor_type.shape.dim[1].dim_value == 3 else [1, 2, 2, 3]
    profiles = [{name: ShapeRange(min=least, opt=list(shape), max=list(shape))} for shape in most]

    def convolutions(steps: Any) -> Convolutions:
        return Convolutions(steps, open_session, run, "cpu", 0)

    program = FusedProgram(model, profiles, cuda, None, compiled, convolutions)
    program.reserve()
    return program, cuda


def open_session(content: bytes) -> onnxruntime.InferenceSession:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])


def run(session: Any, binding: Any) -> None:
    session.run_with_iobinding(binding)


def ran(program: FusedProgram, model: ModelProto, array: np.ndarray) -> np.ndarray:
    """What the program makes of `array`, for a network of one output."""
    (found,) = all_ran(program, model, array)
    return found


def all_ran(program: FusedProgram, model: ModelProto, array: np.ndarray) -> list[np.ndarray]:
    """Every output, of the shape that ONNX Runtime's has; nothing is written beside them."""
    given = model.graph.input[0].name
    addresses, shapes, blocks = {given: array.ctypes.data}, {given: array.shape}, []
    for output, expected in zip(model.graph.output, all_references(model, array), strict=True):
        block = np.full(expected.nbytes + 3 * _MARGIN, 0x77, np.uint8)
        start = _MARGIN + -(block.ctypes.data + _MARGIN) % _MARGIN
        addresses[output.name], shapes[output.name] = block.ctypes.data + start, expected.shape
        blocks.append((block, start, expected))
    for piece in program.bind(addresses, shapes):
        piece()
    found = []
    for block, start, expected in blocks:
        end = start + expected.nbytes
        assert (block[:start] == 0x77).all()
        assert (block[end:] == 0x77).all()
        found.append(block[start:end].view(expected.dtype).reshape(expected.shape))
    return found


def reference(model: ModelProto, array: np.ndarray) -> np.ndarray:
    """What ONNX Runtime makes of it, on the CPU and so without a rounding to half between operators."""
    (found,) = all_references(model, array)
    return found


def all_references(model: ModelProto, array: np.ndarray) -> list[np.ndarray]:
    found: list[np.ndarray] = open_session(model.SerializeToString()).run(None, {model.graph.input[0].name: array})
    return found


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
