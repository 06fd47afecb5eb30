"""Shapes as an ONNX file states them, and as they follow from its graph where it does not."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from trtkit.errors import CheckFailed
from trtkit.runtime.onnx_types import symbolic_shapes, without_weights

from .fused.networks import two_levels


def model_of(output_shape: list | None):
    """x float32 [N, 3, 8, 8] → y, a convolution to 4 channels."""
    weight = numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output_shape)],
        [weight],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_what_is_stated_stays():
    inputs, outputs = symbolic_shapes(two_levels())
    assert inputs == {"image": ("N", "H", "W", 3)}
    assert outputs == {"map": ("N", "H", "W", 2)}


@pytest.mark.parametrize("stated", [["a", "b", "c", "d"], None])
def test_what_is_not_stated_follows_from_the_graph(stated):
    _, outputs = symbolic_shapes(model_of(stated))
    assert outputs["y"][1:] == (4, 8, 8)


def test_an_output_without_axes_is_refused():
    model = model_of(None)
    model.graph.node[0].op_type, model.graph.node[0].domain = "Unheard", "of"
    model.opset_import.append(helper.make_opsetid("of", 1))
    with pytest.raises(CheckFailed, match="output 'y' of the ONNX model has no shape, so no buffer can be made for it"):
        symbolic_shapes(model)


def test_weights_are_left_out_and_sizes_are_not():
    bare = without_weights(two_levels())
    assert bare.ByteSize() < two_levels().ByteSize() / 2
    assert all(np.prod(tensor.dims) <= 64 for tensor in bare.graph.initializer)
    assert bare.graph.initializer
