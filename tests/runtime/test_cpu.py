import numpy as np
import pytest
from onnx import TensorProto, helper

from trtkit.errors import CheckFailed, Mistake
from trtkit.runtime.cpu import CpuBackend


@pytest.fixture
def doubling():
    """x float32 [N, 2] → y = x + x."""
    io = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", io[:1], io[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    with CpuBackend(model.SerializeToString()) as backend:
        yield backend


def test_run_and_submit_agree(doubling):
    x = np.array([[1, 2], [3, 4]], np.float32)
    np.testing.assert_array_equal(doubling.run({"x": x})["y"], 2 * x)
    np.testing.assert_array_equal(doubling.submit({"x": x}).result()["y"], 2 * x)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({}, r"input 'x' is missing; the network takes x"),
        ({"x": np.zeros((1, 2), np.float64)}, r"input 'x' is float64 1x2; the network takes float32 \?x2"),
        ({"x": np.zeros((1, 3), np.float32)}, r"input 'x' is float32 1x3; the network takes float32 \?x2"),
        ({"x": np.zeros(2, np.float32)}, r"input 'x' is float32 2; the network takes float32 \?x2"),
        ({"x": np.zeros((1, 2), np.float32), "z": np.zeros(1)}, r"input 'z' is not one of the network's"),
    ],
)
def test_a_wrong_input_is_named(doubling, arrays, sentence):
    with pytest.raises(Mistake, match=sentence):
        doubling.run(arrays)
    with pytest.raises(Mistake, match=sentence):
        doubling.submit(arrays)


def test_a_file_that_is_no_onnx_is_named(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"hello")
    with pytest.raises(CheckFailed, match=r"a\.onnx does not load in ONNX Runtime"):
        CpuBackend(path)


def test_closing_twice_is_harmless(doubling):
    doubling.close()
    doubling.close()
