"""The quick form computes what the exported network computes; on the CPU provider, where both run."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from trtkit.runtime import ort_form
from trtkit.runtime.cpu import CpuBackend
from trtkit.runtime.interpolation import MODES, matrix
from trtkit.runtime.ort_form import form_for

HALF = TensorProto.FLOAT16


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("before", "after"), [(4, 8), (5, 11), (6, 3), (1, 2), (7, 1)])
def test_the_matrix_is_onnx_own_interpolation(mode, before, after):
    node = helper.make_node("Resize", ["x", "", "", "s"], ["y"], mode="linear", coordinate_transformation_mode=mode)
    graph = helper.make_graph(
        [node],
        "resize",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 1, before])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, after])],
        [numpy_helper.from_array(np.array([1, 1, 1, after], np.int64), "s")],
    )
    samples = np.random.default_rng(0).normal(size=before).astype(np.float32)
    with CpuBackend(_model(graph).SerializeToString()) as backend:
        expected = backend.run({"x": samples.reshape(1, 1, 1, before)})["y"].ravel()
    assert np.abs(matrix(before, after, mode) @ samples - expected).max() < 1e-5


@pytest.mark.parametrize("shape", [(1, 16, 24, 3), (3, 32, 20, 3)])
def test_the_form_gives_what_the_network_gives(shape):
    model = two_levels(half=True)
    form = form_for(model, multiple_of=4)
    nodes = onnx.load_from_string(form.content).graph.node
    operators = [node.op_type for node in nodes]
    assert not {"Resize", "Concat"} & set(operators)
    assert operators.count("DepthToSpace") == 1
    assert all(len(node.input) == 2 for node in nodes if node.op_type == "Conv")
    image = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    expected, found = _both(model, form, image)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert expected.std() > 5


def test_what_would_undo_the_form_is_an_optimizer_of_onnx_runtime(tmp_path):
    """Without it biases stay apart; with it they do not, and the form would be no quicker than the exported file."""
    content = form_for(two_levels(half=True), multiple_of=4).content
    biased = {}
    for name, disabled in (("kept", ort_form.UNDONE_BY), ("undone", ())):
        settings = onnxruntime.SessionOptions()
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        settings.optimized_model_filepath = str(tmp_path / f"{name}.onnx")
        onnxruntime.InferenceSession(
            content, settings, providers=["CPUExecutionProvider"], disabled_optimizers=disabled
        )
        nodes = onnx.load(tmp_path / f"{name}.onnx").graph.node
        biased[name] = sum(len(node.input) > 2 for node in nodes if node.op_type == "Conv")
    assert biased["kept"] == 0
    assert biased["undone"] > 0


def test_odd_sizes_are_stretched_to_their_skips(monkeypatch):
    model = two_levels(half=True)
    form = form_for(model)  # no multiple of 4: nothing in blocks
    assert "DepthToSpace" not in [node.op_type for node in onnx.load_from_string(form.content).graph.node]
    expected, found = _both(model, form, np.random.default_rng(2).integers(0, 256, (2, 19, 23, 3), np.uint8))
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_in_single_precision_everything_stays():
    model = two_levels(half=False)
    assert not form_for(model, multiple_of=4).changed


def test_the_given_model_is_not_touched():
    model = two_levels(half=True)
    before = model.SerializeToString(deterministic=True)
    assert form_for(model, multiple_of=4).changed
    assert model.SerializeToString(deterministic=True) == before


def _both(model: ModelProto, form, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with CpuBackend(model.SerializeToString()) as plain:
        expected = plain.run({"image": image})["map"]
    matrices = form.matrices({"image": image.shape})
    with CpuBackend(form.content) as quick:
        assert quick.inputs.keys() == {"image"} | matrices.keys()
        return expected, quick.run({"image": image, **matrices})["map"]


def two_levels(half: bool) -> ModelProto:
    """uint8 [N, H, W, 3] → map uint8 [N, H, W, 2]: halve, bring back to the skip's size, join, two wide outputs."""
    noise = np.random.default_rng(0)
    kind, number = (np.float16, HALF) if half else (np.float32, TensorProto.FLOAT)
    weights = {
        "w1": noise.normal(0, 0.3, (8, 3, 3, 3)),
        "b1": noise.normal(0, 0.1, 8),
        "w2": noise.normal(0, 0.2, (16, 8, 3, 3)),
        "w3": noise.normal(0, 0.1, (8, 24, 3, 3)),
        "b3": noise.normal(0, 0.1, 8),
        "w4": noise.normal(0, 0.1, (2, 8, 7, 7)),
        "b4": noise.normal(0, 0.1, 2),
        "scale": np.array(1 / 255),
        "full": np.array(255),
    }
    convolve = {"pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Cast", ["image"], ["number"], to=number),
        helper.make_node("Transpose", ["number"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["planes", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "w1", "b1"], ["c1"], **convolve),
        helper.make_node("Relu", ["c1"], ["skip"]),
        helper.make_node("MaxPool", ["skip"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["half", "w2"], ["c2"], **convolve),
        helper.make_node("Relu", ["c2"], ["deep"]),
        helper.make_node("Shape", ["image"], ["rows_columns"], start=1, end=3),
        helper.make_node("Shape", ["deep"], ["batch_channels"], start=0, end=2),
        helper.make_node("Concat", ["batch_channels", "rows_columns"], ["size"], axis=0),
        helper.make_node("Resize", ["deep", "", "", "size"], ["up"], "stretch", mode="linear"),
        helper.make_node("Concat", ["skip", "up"], ["joined"], axis=1),
        helper.make_node("Conv", ["joined", "w3", "b3"], ["c3"], **convolve),
        helper.make_node("Relu", ["c3"], ["merged"]),
        helper.make_node("Conv", ["merged", "w4", "b4"], ["c4"], pads=[3, 3, 3, 3]),
        helper.make_node("Sigmoid", ["c4"], ["share"]),
        helper.make_node("Mul", ["share", "full"], ["grey"]),
        helper.make_node("Transpose", ["grey"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["last"], ["map"], to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(
        nodes,
        "two levels",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("map", TensorProto.UINT8, ["N", "H", "W", 2])],
        [numpy_helper.from_array(np.asarray(array, kind), name) for name, array in weights.items()],
    )
    return _model(graph)


def _model(graph: onnx.GraphProto) -> ModelProto:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model
