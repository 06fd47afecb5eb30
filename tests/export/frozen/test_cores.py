"""What is cut out and what is not, on small graphs written node by node; no TensorFlow."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from trtkit.errors import CheckFailed
from trtkit.export.frozen.names import number_names
from trtkit.export.frozen.partition import take_apart
from trtkit.models.imported.chain import Chain
from trtkit.models.imported.host import HostWork
from trtkit.models.imported.plan import BranchStep, from_json, to_json
from trtkit.runtime.cpu import CpuBackend


class Graph:
    """Nodes put one after another, each on the outputs of those before."""

    def __init__(self, **inputs):
        self.inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
        self.nodes, self.constants = [], []

    def constant(self, name, values, dtype=np.float32):
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def add(self, operator, inputs, output, **attributes):
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"net/{output}", **attributes))
        return output

    def conv(self, x, before, after, output):
        kernel = np.random.default_rng(len(self.nodes)).normal(0, 0.3, (after, before, 3, 3))
        return self.add("Conv", [x, self.constant(f"{output}_w", kernel)], output, pads=[1, 1, 1, 1])

    def twice(self, x, output):
        scales = self.constant(f"{output}_s", [1, 1, 2, 2])
        return self.add("Resize", [x, "", scales], output, mode="linear", coordinate_transformation_mode="asymmetric")

    def half(self, x, output):
        return self.add("AveragePool", [x], output, kernel_shape=[2, 2], strides=[2, 2])

    def model(self, *outputs, kind=TensorProto.FLOAT):
        given = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "g", self.inputs, given, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def convolutions(pieces):
    return {name: sum(node.op_type == "Conv" for node in model.graph.node) for name, model in pieces.networks.items()}


def check(model, **arrays):
    """The chain gives what ONNX Runtime makes of the whole graph; the pieces are given back."""
    wanted = onnxruntime.InferenceSession(model.SerializeToString()).run(None, arrays)
    names = [value.name for value in model.graph.output]
    pieces = take_apart(model)
    chain = Chain(
        from_json(to_json(pieces.steps)),
        names,
        {name: CpuBackend(piece.SerializeToString()) for name, piece in pieces.networks.items()},
        {name: HostWork(piece.SerializeToString()) for name, piece in pieces.hosts.items()},
    )
    for name, value in zip(names, wanted, strict=True):
        np.testing.assert_allclose(chain.run([arrays])[0][name], value, atol=1e-4)
    return pieces


def picture(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_rows_that_do_not_belong_together_are_refused_rather_than_lost():
    """A whole picture's feature beside the crops of its faces: with one face it looks like any network."""
    graph = Graph(crops=[None, 3, 8, 8], whole=[1, 4, 1, 1])
    graph.add("Add", [graph.conv("crops", 3, 4, "a"), graph.conv("whole", 4, 4, "b")], "both")
    graph.conv("both", 4, 2, "y")
    model = graph.model("y")
    pieces = check(model, crops=picture(1, 3, 8, 8), whole=picture(1, 4, 1, 1))
    chain = Chain(
        from_json(to_json(pieces.steps)),
        ["y"],
        {name: CpuBackend(piece.SerializeToString()) for name, piece in pieces.networks.items()},
        {name: HostWork(piece.SerializeToString()) for name, piece in pieces.hosts.items()},
    )
    arrays = {"crops": picture(2, 3, 8, 8), "whole": picture(1, 4, 1, 1)}
    with pytest.raises(CheckFailed, match="reads tensors of different numbers of rows on this picture"):
        chain.run([arrays])


def test_a_decoder_without_skips_stays_one_network():
    graph = Graph(x=[1, 3, 16, 16])
    graph.conv(graph.twice(graph.conv(graph.half("x", "small"), 3, 4, "a"), "up"), 4, 2, "y")
    assert convolutions(check(graph.model("y"), x=picture(1, 3, 16, 16))) == {"net": 2}


def test_a_mask_that_joins_the_picture_begins_another_network():
    graph = Graph(x=[1, 3, 16, 16])
    mask = graph.twice(graph.conv(graph.half("x", "small"), 3, 1, "mask"), "up")
    graph.inputs.append(helper.make_tensor_value_info("sharp", TensorProto.FLOAT, [1, 3, 16, 16]))
    graph.conv(graph.add("Concat", ["sharp", mask], "both", axis=1), 4, 2, "y")
    pieces = check(graph.model("y"), x=picture(1, 3, 16, 16), sharp=picture(1, 3, 16, 16))
    assert sorted(convolutions(pieces).values()) == [1, 1]


def test_what_looks_across_the_batch_is_left_out():
    graph = Graph(x=[1, 3, 8, 8])
    graph.conv("x", 3, 2, "a")
    axes = graph.constant("axes", [0, 1, 2, 3], np.int64)
    graph.add("ReduceMean", ["a", axes], "mean", keepdims=1)
    graph.conv(graph.add("Sub", ["a", "mean"], "centred"), 2, 2, "y")
    pieces = check(graph.model("y"), x=picture(1, 3, 8, 8))
    assert all("Reduce" not in node.op_type for model in pieces.networks.values() for node in model.graph.node)


def test_no_path_leaves_a_network_and_comes_back():
    """The product of two convolutions, one of them through an operator that cannot be batched."""
    graph = Graph(x=[1, 2, 8, 8])
    graph.conv("x", 2, 2, "a")
    graph.add("CumSum", ["a", graph.constant("axis", 0, np.int64)], "aside")
    graph.conv(graph.add("Mul", ["a", "aside"], "product"), 2, 2, "y")
    assert sorted(convolutions(check(graph.model("y"), x=picture(1, 2, 8, 8))).values()) == [1, 1]


def test_a_reshape_keeps_the_batch_or_stays_out():
    graph = Graph(x=[1, 2, 4, 4])
    graph.conv("x", 2, 3, "a")
    flat = graph.add("Reshape", ["a", graph.constant("to", [1, 48], np.int64)], "flat")
    graph.add("Reshape", [flat, graph.constant("away", [48], np.int64)], "y")
    pieces = check(graph.model("y"), x=picture(1, 2, 4, 4))
    (network,) = pieces.networks.values()
    with CpuBackend(network.SerializeToString()) as backend:
        assert backend.run({"in1": picture(5, 2, 4, 4)})["out1"].shape == (5, 48)


def test_a_convolution_of_unknown_size_runs_on_the_host_and_is_named():
    graph = Graph(x=[1, 2, "h", "w"])
    graph.conv("x", 2, 2, "y")
    pieces = check(graph.model("y"), x=picture(1, 2, 9, 7))
    assert pieces.networks == {}
    assert [(node.operator, node.name, node.why) for node in pieces.on_host] == [
        ("Conv", "net/y", "takes 1x2x?x? and gives 1x2x?x?")
    ]


def _branch(name, build):
    graph = Graph()
    build(graph)
    value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
    return helper.make_graph(graph.nodes, name, [], [value], graph.constants)


@pytest.mark.parametrize("open_gate", [True, False])
def test_networks_behind_a_decision_are_cut_out_too(open_gate):
    graph = Graph(x=[1, 2, 8, 8])
    total = graph.add("ReduceSum", ["x"], "total", keepdims=0)
    graph.add("Greater", [total, graph.constant("zero", 0)], "gate")
    then = _branch("kept", lambda inner: inner.conv("x", 2, 2, "kept"))
    other = _branch("none", lambda inner: inner.add("Sub", ["x", "x"], "none"))
    graph.nodes.append(helper.make_node("If", ["gate"], ["y"], name="decide", then_branch=then, else_branch=other))
    model = graph.model("y")
    x = np.abs(picture(1, 2, 8, 8)) * (1 if open_gate else -1)
    pieces = check(model, x=x)
    assert convolutions(pieces) == {"net": 1}
    assert any(isinstance(step, BranchStep) for step in pieces.steps)
    assert ("If", "decides by the value of gate") in [(node.operator, node.why) for node in pieces.on_host]


def test_the_converters_numbers_do_not_matter():
    def renamed(*numbers):
        graph = Graph(x=[1, 2, 8, 8])
        first = graph.add("Relu", ["x"], f"Relu__{numbers[0]}:0")
        graph.nodes[-1].name = f"Relu__{numbers[0]}"
        graph.add("Neg", [first], "y")
        model = graph.model("y")
        number_names(model)
        return model.SerializeToString(deterministic=True)

    assert renamed(7) == renamed(1234)


def test_every_piece_is_valid_onnx():
    graph = Graph(x=[1, 3, 16, 16])
    graph.conv(graph.twice(graph.conv("x", 3, 4, "a"), "up"), 4, 2, "y")
    for model in take_apart(graph.model("y")).networks.values():
        onnx.checker.check_model(model, full_check=True)


def test_an_output_that_is_a_constant_is_given_as_it_is():
    graph = Graph(x=[1, 3, 8, 8])
    graph.conv("x", 3, 2, "y")
    graph.constant("count", [3.0])
    assert convolutions(check(graph.model("y", "count"), x=picture(1, 3, 8, 8))) == {"net": 1}


@pytest.mark.parametrize(("before", "after"), [(80, 224), (56, 80), (224, 80), (4, 7), (300, 299)])
def test_a_resize_whose_ratio_no_float32_holds_is_valid_onnx_and_gives_its_size(before, after):
    graph = Graph(x=[1, 3, before, before])
    sizes = graph.constant("sizes", [1, 4, after, after], np.int64)
    first = graph.conv("x", 3, 4, "first")
    resized = graph.add(
        "Resize", [first, "", "", sizes], "resized", mode="linear", coordinate_transformation_mode="half_pixel"
    )
    second = graph.conv(resized, 4, 4, "second")
    picture = np.random.default_rng(0).normal(0, 0.3, (1, 3, before, before)).astype(np.float32)
    pieces = check(graph.model(second), x=picture)
    (core,) = pieces.networks.values()
    assert [node.op_type for node in core.graph.node] == ["Conv", "Resize", "Conv"]
    onnx.checker.check_model(core, full_check=True)


def test_a_scale_that_float32_rounds_below_its_ratio_is_raised_wherever_the_resize_is():
    """tf2onnx states a fixed size so, and from 80 ONNX's shape inference makes 223 of it."""
    graph = Graph(x=[1, 3, 80, 80])
    scales = graph.constant("scales", [1, 1, np.float32(2.8), np.float32(2.8)])
    first = graph.conv("x", 3, 4, "first")
    resized = graph.add("Resize", [graph.conv(first, 4, 4, "second"), "", scales], "resized", mode="linear")
    model = graph.model(graph.add("Mul", [resized, graph.constant("grey", 255.0)], "y"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 224, 224]))
    with pytest.raises(onnx.shape_inference.InferenceError, match=r"\(223\) vs \(224\)"):
        onnx.checker.check_model(model, full_check=True)
    picture = np.random.default_rng(0).normal(0, 0.003, (1, 3, 80, 80)).astype(np.float32)
    pieces = check(model, x=picture)
    for piece in (*pieces.networks.values(), *pieces.hosts.values()):
        onnx.checker.check_model(piece, full_check=True)
