import numpy as np
from onnx import TensorProto, helper, numpy_helper

from trtkit.export.half_storage import compress, expand
from trtkit.runtime.cpu import CpuBackend


def _network(kernel: np.ndarray):
    nodes = [helper.make_node("Conv", ["x", "kernel"], ["y"], name="conv")]
    io = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3, "H", "W"]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", io[:1], io[1:], [numpy_helper.from_array(kernel, "kernel")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _random_kernel() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((3, 3, 3, 3)).astype(np.float32)


def test_representable_weights_take_half_the_room_and_compute_the_same():
    kernel = _random_kernel().astype(np.float16).astype(np.float32)
    model = _network(kernel)
    stored = compress(model)
    assert stored.graph.initializer[0].data_type == TensorProto.FLOAT16
    x = np.random.default_rng(1).standard_normal((1, 3, 9, 9)).astype(np.float32)
    with CpuBackend(model.SerializeToString()) as plain, CpuBackend(stored.SerializeToString()) as packed:
        np.testing.assert_array_equal(plain.run({"x": x})["y"], packed.run({"x": x})["y"])


def test_expanding_gives_back_the_same_bytes():
    model = _network(_random_kernel().astype(np.float16).astype(np.float32))
    assert expand(compress(model)).SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


def test_a_weight_that_would_lose_bits_is_left_alone():
    model = _network(_random_kernel())
    assert compress(model).SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)
