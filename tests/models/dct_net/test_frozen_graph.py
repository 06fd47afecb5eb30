"""Weights out of real GraphDef files: exact where they are right, one sentence where they are not."""

from __future__ import annotations

import numpy as np
import pytest

from trtkit.errors import Mistake
from trtkit.models.dct_net.layers import BLOCK_SCOPES, SCOPES, shapes_of

torch = pytest.importorskip("torch")
graph_pb2 = pytest.importorskip("tensorboardX.proto.graph_pb2")

FLOAT, HALF = 1, 19


def add_constant(graph, name: str, values: np.ndarray, dtype: int = FLOAT) -> None:
    node = graph.node.add(name=name, op="Const")
    tensor = node.attr["value"].tensor
    tensor.dtype = dtype
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_content = values.tobytes()
    graph.node.add(name=f"{name}/read", op="Identity", input=[name])


def parameters(channels: int = 4, blocks: int = 4) -> dict[str, np.ndarray]:
    """TensorFlow name → HWIO or bias values, every one another number."""
    scopes = dict(SCOPES)
    for block in range(blocks):
        scopes |= {scope.format(block): module.format(block) for scope, module in BLOCK_SCOPES.items()}
    shapes, rng, made = shapes_of(channels, blocks), np.random.default_rng(0), {}
    for scope, module in scopes.items():
        kernel, inputs, outputs = shapes[module]
        made[f"generator/{scope}/weights"] = rng.normal(0, 0.1, (kernel, kernel, inputs, outputs)).astype(np.float32)
        made[f"generator/{scope}/biases"] = rng.normal(0, 0.1, outputs).astype(np.float32)
    return made


def written(path, tensors: dict[str, np.ndarray]):
    graph = graph_pb2.GraphDef()
    graph.node.add(name="input_image", op="Placeholder")
    add_constant(graph, "truediv/y", np.array([127.5], np.float32))  # not a parameter: outside generator/
    add_constant(graph, "generator/ResizeBilinear/size", np.array([8, 8], np.int32), dtype=3)
    for name, values in tensors.items():
        add_constant(graph, name, values, HALF if values.dtype == np.float16 else FLOAT)
    path.write_bytes(graph.SerializeToString())
    return path


def read(path):
    from trtkit.models.dct_net.source import load_source

    return load_source("background", path)


def test_all_36_tensors_arrive_turned_to_oihw(tmp_path):
    tensors = parameters()
    assert len(tensors) == 36
    state = read(written(tmp_path / "cartoon_bg.pb", tensors)).generator.state_dict()
    assert len(state) == 36
    for scope, module in SCOPES.items():
        kernel = state[f"{module}.weight"].numpy()
        np.testing.assert_array_equal(kernel.transpose(2, 3, 1, 0), tensors[f"generator/{scope}/weights"])
        np.testing.assert_array_equal(state[f"{module}.bias"].numpy(), tensors[f"generator/{scope}/biases"])
    np.testing.assert_array_equal(
        state["blocks.3.conv2.weight"].numpy().transpose(2, 3, 1, 0), tensors["generator/block_3/conv2/weights"]
    )


@pytest.mark.parametrize(("channels", "blocks"), [(32, 4), (6, 2)])
def test_channels_and_blocks_are_read_off_the_graph(tmp_path, channels, blocks):
    config = read(written(tmp_path / "a.pb", parameters(channels, blocks))).generator.config
    assert (config.channels, config.blocks) == (channels, blocks)


def test_half_precision_and_single_values_are_read(tmp_path):
    tensors = parameters()
    tensors["generator/Conv_4/weights"] = tensors["generator/Conv_4/weights"].astype(np.float16)
    path = written(tmp_path / "a.pb", tensors)
    graph = graph_pb2.GraphDef()
    graph.ParseFromString(path.read_bytes())
    constant = next(node for node in graph.node if node.name == "generator/Conv_2/biases").attr["value"].tensor
    constant.ClearField("tensor_content")
    constant.float_val.append(0.25)  # TensorFlow's short form: the last value goes on to the end
    empty = next(node for node in graph.node if node.name == "generator/Conv_4/biases").attr["value"].tensor
    empty.ClearField("tensor_content")  # its short form of zeros
    path.write_bytes(graph.SerializeToString())
    state = read(path).generator.state_dict()
    assert (state["widen1.bias"] == 0.25).all()
    assert (state["widen2.bias"] == 0).all()
    np.testing.assert_array_equal(
        state["widen2.weight"].numpy().transpose(2, 3, 1, 0), tensors["generator/Conv_4/weights"].astype(np.float32)
    )


def without(name):
    return lambda tensors: {key: values for key, values in tensors.items() if key != name}


def renamed(old, new):
    return lambda tensors: {new if key == old else key: values for key, values in tensors.items()}


def with_tensor(name, shape):
    return lambda tensors: tensors | {name: np.zeros(shape, np.float32)}


BROKEN = {
    "missing": (without("generator/Conv_6/weights"), "'generator/Conv_6/weights' [3, 3, 8, 8] is missing"),
    "first missing": (without("generator/Conv/weights"), "'generator/Conv/weights' [7, 7, 3, 32] is missing"),
    "extra": (with_tensor("generator/Conv_10/weights", (3, 3, 4, 4)), "'generator/Conv_10/weights' is not one of"),
    "norm": (with_tensor("generator/Conv/BatchNorm/gamma", (4,)), "'generator/Conv/BatchNorm/gamma' is not one of"),
    "renamed": (
        renamed("generator/block_1/conv2/biases", "generator/block_1/conv2/bias"),
        "'generator/block_1/conv2/biases' [16] is missing",
    ),
    "wrongly shaped": (
        with_tensor("generator/Conv_3/weights", (5, 5, 8, 8)),
        "'generator/Conv_3/weights' has shape [5, 5, 8, 8], the network's is [3, 3, 8, 8]",
    ),
    "first wrongly shaped": (with_tensor("generator/Conv/weights", (3, 3, 3, 4)), "has shape [3, 3, 3, 4]"),
    "another network": (lambda tensors: {f"model/{name}": t for name, t in tensors.items()}, "no tensor under"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_graph_that_is_not_the_networks_is_one_sentence(tmp_path, trtkit, case):
    change, expected = BROKEN[case]
    written(tmp_path / "cartoon_bg.pb", change(parameters()))
    written(tmp_path / "cartoon_h.pb", parameters())
    answer = trtkit("export", "dct_net", "--weights", tmp_path, "--out", tmp_path / "out")
    assert answer.code == 2
    assert expected in answer.err
    assert str(tmp_path / "cartoon_bg.pb") in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_graph_is_one_sentence(tmp_path, trtkit, share):
    path = written(tmp_path / "cartoon_bg.pb", parameters())
    written(tmp_path / "cartoon_h.pb", parameters())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    answer = trtkit("export", "dct_net", "--weights", tmp_path, "--out", tmp_path / "out")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "cartoon_bg.pb" in answer.err


@pytest.mark.parametrize(
    "content",
    [b"", b"not a graph at all\n" * 40, b"\x89PNG\r\n\x1a\n" + bytes(200), bytes(range(256))],
    ids=["empty", "text", "png", "bytes"],
)
def test_what_is_no_graphdef_is_one_sentence(tmp_path, trtkit, content):
    (tmp_path / "cartoon_bg.pb").write_bytes(content)
    (tmp_path / "cartoon_h.pb").write_bytes(content)
    answer = trtkit("export", "dct_net", "--weights", tmp_path, "--out", tmp_path / "out")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "frozen graph" in answer.err


def test_a_tensor_with_too_few_bytes_is_named(tmp_path):
    path = written(tmp_path / "a.pb", parameters())
    graph = graph_pb2.GraphDef()
    graph.ParseFromString(path.read_bytes())
    tensor = next(node for node in graph.node if node.name == "generator/Conv_9/weights").attr["value"].tensor
    tensor.tensor_content = tensor.tensor_content[:-6]
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(Mistake, match=r"'generator/Conv_9/weights' holds 586 values, .* needs 588"):
        read(path)


def test_without_tensorboardx_the_extra_is_named(tmp_path, monkeypatch):
    import sys

    from trtkit.errors import MissingComponent

    path = written(tmp_path / "a.pb", parameters())
    monkeypatch.setitem(sys.modules, "tensorboardX.proto.graph_pb2", None)
    with pytest.raises(MissingComponent, match=r"tensorboardX.*trtkit\[export\]"):
        read(path)
