"""What a graph is read as, and what is refused, by name: such a network runs in ONNX Runtime's own operators."""

from __future__ import annotations

import numpy as np
import pytest

from trtkit.runtime.fused.network import Unfused, read
from trtkit.runtime.fused.schedule import schedule
from trtkit.runtime.fused.values import Convolution, Joined, MaxPooled, Mean, Resized

from .networks import BYTE, FLOAT, HALF, IMAGE, Builder, guided, planar, two_levels


def test_a_u_net_as_values():
    network = read(two_levels())
    kinds = [type(value) for value in network.values]
    assert [kinds.count(kind) for kind in (Convolution, MaxPooled, Resized, Joined)] == [4, 1, 1, 1]
    assert {name: value.channels for name, value in network.outputs.items()} == {"map": 2}
    resized = next(value for value in network.values if isinstance(value, Resized))
    assert resized.extent.at((19, 23)) == (19, 23)
    assert resized.source.extent.at((19, 23)) == (9, 11)


def test_convolutions_of_few_channels_come_in_blocks():
    blocks = [value.block for value in read(two_levels()).values if isinstance(value, Convolution)]
    assert blocks == [2, 1, 1, 4]
    last = [value for value in read(guided()).values if isinstance(value, Convolution)][-1]
    assert last.weight.shape == (48, 16, 10, 10)
    assert (last.pads, last.strides) == ((3, 3, 6, 6), (4, 4))
    assert [value.block for value in read(planar()).values if isinstance(value, Convolution)] == [2, 1, 1]


def test_means_are_told_from_other_pools():
    assert sum(isinstance(value, Mean) for value in read(guided()).values) == 6


def one(*steps: tuple, kind: int = HALF) -> object:
    """The graph of `steps`, (operator, attributes) each, behind a convolution of a picture, of type `kind`."""
    b = Builder(kind)
    x = b.conv(b.node("Cast", b.normalised("image"), to=kind), 3, 3)
    for operator, attributes in steps:
        if operator == "Conv":
            x = b.conv(x, **attributes)
        else:
            given = [b.constant(*value) if isinstance(value, tuple) else value for value in attributes.pop("given", ())]
            x = b.node(operator, x, *given, **attributes)
    return b.model(IMAGE, b.to_image(x), ("N", "P", "Q", "C"))


CONV = ("Conv", {"inputs": 3, "outputs": 8})


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([("Erf", {})], r"Erf '/erf\d+' is not among what kernels are written for"),
        ([("Transpose", {"perm": [0, 1, 3, 2]})], r"Transpose '/transpose\d+' moves other axes than the channels"),
        ([("MaxPool", {"kernel_shape": [3, 3]})], r"MaxPool '/maxpool\d+' does not take 2x2 pixels side by side"),
        (
            [("AveragePool", {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1})],
            r"AveragePool '/averagepool\d+' is not the mean of those of 3x3 pixels that exist",
        ),
        (
            [("Resize", {"given": ["", ([1, 1, 2, 2], np.float32)], "mode": "nearest"})],
            r"Resize '/resize\d+' is not bilinear along height and width",
        ),
        (
            [("Resize", {"given": ["", ([1, 1, 1.5, 2], np.float32)], "mode": "linear"})],
            r"Resize '/resize\d+' has other factors than whole ones for height and width",
        ),
        (
            [("Conv", {"inputs": 3, "outputs": 1}), ("Mul", {"given": [(np.ones((1, 8, 1, 1)),)]})],
            r"Mul '/mul\d+' spreads one channel over several",
        ),
        ([("Div", {"given": [(0.0,)]})], r"Div '/div\d+' reads 'constant\d+', which is not finite, or divides by 0"),
        ([("Add", {"given": [(np.inf,)]})], r"Add '/add\d+' reads 'constant\d+', which is not finite"),
        ([("Max", {"given": [(0.5,), (0.25,)]})], r"Max '/max\d+' is not of 2 operands that are floating-point"),
        ([("Relu", {}), ("Cast", {"to": BYTE}), ("Max", {"given": [(3, np.uint8)]})], "rounds to bytes in the middle"),
        ([("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"})], "does not take 2x2"),
        (
            [("Resize", {"given": ["", "", ([1, 3, 9, 9], np.int64)], "mode": "linear"})],
            r"Resize '/resize\d+' has a size that follows from nothing it is joined with",
        ),
        ([("Add", {"given": [(np.ones((1, 1, 1, 16)),)]})], r"Add '/add\d+' reads 'constant\d+', which is not one num"),
        ([("Conv", {"inputs": 3, "outputs": 8, "auto_pad": "SAME_UPPER", "pads": None})], "leaves its padding open"),
    ],
)
def test_what_is_refused_by_name(steps, said):
    for _, attributes in steps:
        if attributes.get("pads", 0) is None:
            del attributes["pads"]
    with pytest.raises(Unfused, match=said):
        read(one(*steps))


def test_single_precision_is_refused():
    with pytest.raises(Unfused, match="it has no convolution in half precision"):
        read(two_levels(FLOAT))


def test_what_older_opsets_meant_is_refused():
    model = two_levels()
    model.opset_import[0].version = 12
    with pytest.raises(Unfused, match="its opset is 12; operators are read as those of 13 and later"):
        read(model)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (["N", "H", "W", 9], "input 'image' does not say which axis its channels are"),
        (["N", "C"], "input 'image' is no picture"),
    ],
)
def test_inputs_that_are_no_pictures(shape, said):
    b = Builder()
    b.conv("other", 3, 3)
    convolution = b.nodes.pop()
    x = b.node("Relu", "image")
    model = b.model(("image", HALF, shape), x, shape, HALF)
    model.graph.node.append(convolution)
    with pytest.raises(Unfused, match=said):
        read(model)


def test_what_is_joined_for_the_caller_is_refused():
    b = Builder()
    x = b.node("Relu", b.conv(b.node("Cast", b.normalised("image"), to=HALF), 3, 8))
    joined = b.node("Concat", x, b.node("Sigmoid", x), axis=1)
    with pytest.raises(Unfused, match=f"'{joined}' is joined for something else than a convolution"):
        schedule(read(b.model_of(IMAGE, [(joined, HALF, ("N", 16, "P", "Q"))])))


def test_a_network_without_a_convolution_that_matters_is_refused():
    b = Builder()
    b.conv(b.node("Cast", b.normalised("image"), to=HALF), 3, 8)
    with pytest.raises(Unfused, match="no output comes from a convolution"):
        schedule(read(b.model(IMAGE, b.to_image(b.normalised("image")), ("N", "H", "W", 3))))


def test_values_that_are_used_again_and_again_are_followed_once():
    b = Builder()
    x = b.node("Relu", b.conv(b.node("Cast", b.normalised("image"), to=HALF), 3, 8))
    for _ in range(60):  # twice as many ways with each: none would end
        x = b.node("Mul", x, b.node("Sigmoid", x))
    steps = schedule(read(b.model(IMAGE, b.to_image(x), ("N", "P", "Q", "C")))).steps
    assert len(steps) == 3


def test_convolutions_one_after_the_other_have_nothing_to_fuse():
    with pytest.raises(Unfused, match=r"'conv\d+' is used as it is, and not by way of a kernel"):
        schedule(read(one(("Conv", {**CONV[1], "bias": False}), ("Conv", {"inputs": 8, "outputs": 8}), ("Relu", {}))))
