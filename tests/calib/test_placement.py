"""Where the pairs go, on graphs small enough to see it."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from trtkit.calib.placement import measurable, place
from trtkit.errors import Mistake

CHANNELS = 4


def graph(nodes):
    """A chain is written ('Conv', 'name', inputs, output); convolutions get 3x3 weights."""
    made, weights = [], []
    for kind, name, inputs, output, *attributes in nodes:
        options = attributes[0] if attributes else {}
        if kind in ("Conv", "ConvTranspose"):
            weights.append(numpy_helper.from_array(np.ones((CHANNELS, CHANNELS, 3, 3), np.float32), f"{name}.weight"))
            inputs = [*inputs, f"{name}.weight"]
        made.append(helper.make_node(kind, inputs, [output], name=name, **options))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", CHANNELS, "H", "W"]) for name in ("x", "y")]
    weights.append(numpy_helper.from_array(np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64), "sizes"))
    weights.append(numpy_helper.from_array(np.float32(1), "one"))
    return helper.make_model(helper.make_graph(made, "g", ends[:1], ends[1:], weights))


def test_the_first_and_the_last_convolution_stay_as_they_are():
    found = place(graph([("Conv", "a", ["x"], "1"), ("Conv", "b", ["1"], "2"), ("Conv", "c", ["2"], "y")]), ())
    assert found.convolutions == ("b",)
    assert found.left_out == ("a", "c")
    assert found.groups == (("1",),)


UNET = [
    ("Conv", "enter", ["x"], "0"),
    ("Conv", "down.0", ["0"], "1"),
    ("Relu", "relu", ["1"], "skip"),
    ("MaxPool", "pool", ["skip"], "2", {"kernel_shape": [2, 2]}),
    ("Conv", "down.1", ["2"], "3"),
    ("Resize", "resize", ["3"], "up"),
    ("Concat", "join", ["skip", "up"], "4", {"axis": 1}),
    ("Conv", "up.0", ["4"], "5"),
    ("Conv", "leave", ["5"], "y"),
]


def test_a_skip_its_pooling_and_its_concatenation_share_one_scale():
    found = place(graph(UNET), ())
    assert set(found.groups) == {("0",), ("skip", "2", "up", "4")}
    assert found.readers == {"down.0": 0, "down.1": 0, "up.0": 0}, "the pair moves there, from the convolution's input"


def test_a_branch_that_no_quantized_convolution_reads_stays_exact():
    found = place(graph(UNET), ["up.0"])
    assert set(found.groups) == {("0",), ("skip", "2")}


RESIDUAL = [
    ("Conv", "enter", ["x"], "0"),
    ("Conv", "block.conv1", ["0"], "1"),
    ("LeakyRelu", "act", ["1"], "2"),
    ("Conv", "block.conv2", ["2"], "3"),
    ("Add", "sum", ["0", "3"], "4"),
    ("Conv", "after", ["4"], "5"),
    ("Conv", "leave", ["5"], "y"),
]


def test_a_sum_reads_the_residual_quantized_and_the_fresh_branch_as_it_is():
    found = place(graph(RESIDUAL), ())
    assert set(found.groups) == {("0",), ("2",), ("4",)}
    assert found.readers["sum"] == 0


def test_of_two_fresh_branches_the_projection_is_quantized():
    projected = [
        *RESIDUAL[:4],
        ("Conv", "block.projection", ["0"], "p"),
        ("Add", "sum", ["3", "p"], "4"),
        *RESIDUAL[5:],
    ]
    found = place(graph(projected), ())
    assert found.readers["sum"] == 1
    assert ("p",) in found.groups
    assert ("3",) not in found.groups


def test_whatever_is_kept_out_of_int8_what_a_pair_needs_was_measured():
    """Without its convolution, one branch of the sum is no longer read quantized, and the other one takes the pair."""
    both_fresh = graph(
        [
            ("Conv", "enter", ["x"], "0"),
            ("Conv", "first", ["0"], "1"),
            ("Conv", "deep", ["1"], "2"),
            ("Conv", "projection", ["0"], "p"),
            ("Add", "sum", ["2", "p"], "3"),
            ("Conv", "reader", ["2"], "4"),
            ("Add", "end", ["3", "4"], "5"),
            ("Conv", "leave", ["5"], "y"),
        ]
    )
    measured = set(measurable(both_fresh))
    assert set(place(both_fresh, ()).tensors) <= measured
    kept = set(place(both_fresh, ["reader"]).tensors)
    assert not kept <= set(place(both_fresh, ()).tensors)
    assert kept <= measured


def test_a_constant_is_no_branch():
    shifted = [*RESIDUAL[:4], ("Add", "sum", ["3", "one"], "4"), *RESIDUAL[5:]]
    assert "sum" not in place(graph(shifted), ()).readers


def test_padding_with_zeros_passes_int8_and_any_other_does_not():
    def padded(mode):
        pad = ("Pad", "pad", ["0", "sizes"], "p", {"mode": mode})
        return graph(
            [("Conv", "enter", ["x"], "0"), pad, ("Conv", "b", ["p"], "1"), ("Conv", "leave", ["1"], "y")],
        )

    assert place(padded("constant"), ()).groups == (("0", "p"),)
    assert place(padded("edge"), ()).groups == (("p",),)


def test_the_block_list_takes_nodes_and_modules():
    assert place(graph(RESIDUAL), ["block"]).convolutions == ("after",)
    assert place(graph(RESIDUAL), ["block.conv1"]).convolutions == ("block.conv2", "after")


def test_only_quantizes_one_alone():
    found = place(graph(RESIDUAL), (), only=["block.conv2"])
    assert found.convolutions == ("block.conv2",)
    assert found.groups == (("2",),)


def test_a_block_list_that_names_nothing_is_named():
    with pytest.raises(Mistake, match=r"int8\.keep_fp16: no convolution is called 'blok'"):
        place(graph(RESIDUAL), ["blok"])


def test_nothing_left_to_quantize_is_a_sentence():
    with pytest.raises(Mistake, match="no convolution is left to quantize"):
        place(graph(RESIDUAL), ["block", "after"])
