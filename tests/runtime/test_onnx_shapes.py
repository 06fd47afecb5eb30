"""Sizes asked of inner tensors become sizes asked of inputs, with the same results."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from trtkit.runtime.cpu import CpuBackend
from trtkit.runtime.onnx_shapes import sizes_from_inputs


def network(start: int, end: int) -> onnx.ModelProto:
    """image [N, 4, H, W] → pooled, then resized back to [N, 4, H, W] by sizes partly read off an inner tensor."""
    read = [("rest", "image", 2, 4)] if end == 2 else []
    nodes = [
        helper.make_node("MaxPool", ["image"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Shape", ["half"], ["front"], name="unet/shape", start=start, end=end),
        *(helper.make_node("Shape", [source], [name], start=a, end=b) for name, source, a, b in read),
        helper.make_node("Concat", ["front", "rest"], ["sizes"], axis=0)
        if read
        else helper.make_node("Identity", ["front"], ["sizes"]),
        helper.make_node("Resize", ["half", "", "", "sizes"], ["map"], mode="linear"),
    ]
    shape = ["N", 4, "H", "W"]
    graph = helper.make_graph(
        nodes,
        "resizes",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, [None] * 4)],
        [numpy_helper.from_array(np.zeros(1, np.float32), "unused")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_batch_and_channels_are_asked_of_the_input_and_nothing_changes():
    model, changed = network(0, 2), network(0, 2)
    assert sizes_from_inputs(changed) == 1
    onnx.checker.check_model(changed, full_check=True)
    assert {node.input[0] for node in changed.graph.node if node.op_type == "Shape"} == {"image"}
    image = np.random.default_rng(0).random((3, 4, 10, 14), np.float32)
    with CpuBackend(model.SerializeToString()) as before, CpuBackend(changed.SerializeToString()) as after:
        assert np.array_equal(before.run({"image": image})["map"], after.run({"image": image})["map"])


def test_a_size_that_only_the_tensor_knows_is_left_alone():
    model = network(0, 4)  # H / 2 has no name
    before = model.SerializeToString()
    assert sizes_from_inputs(model) == 0
    assert model.SerializeToString() == before


def test_the_embedded_matting_network_has_no_inner_size_left():
    from trtkit import models

    model = onnx.load(models.get("cv_unet").embedded_dir / "matting.fp32.onnx")
    sizes_from_inputs(model)
    inputs = {value.name for value in model.graph.input}
    assert all(node.input[0] in inputs for node in model.graph.node if node.op_type == "Shape")
