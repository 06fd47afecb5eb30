"""The range check finds what a CPU hides: it computes FP16 nodes in FP32."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from trtkit.export.half import to_half
from trtkit.export.half_range import LIMIT, examine, nodes_around


def _network(gain: float):
    """image → ×gain → ÷gain → output: harmless in FP32, an overflow in FP16 once the middle passes 65504."""
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], name="from_uint8/cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "gain"], ["middle"], name="body/mul"),
        helper.make_node("Div", ["middle", "gain"], ["y"], name="body/div"),
        helper.make_node("Cast", ["y"], ["out"], name="to_uint8/cast", to=TensorProto.UINT8),
    ]
    io = [helper.make_tensor_value_info(name, TensorProto.UINT8, ["N"]) for name in ("image", "out")]
    graph = helper.make_graph(nodes, "g", io[:1], io[1:], [numpy_helper.from_array(np.array(gain, np.float32), "gain")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


IMAGE = {"image": np.arange(256, dtype=np.uint8)}


def test_an_overflow_that_the_cpu_hides_is_found():
    model = _network(300.0)
    report = examine(model, to_half(model, []), [IMAGE])
    assert not report.peak.fits
    assert report.peak.tensor == "middle"
    assert report.peak.value == 255 * 300 > LIMIT
    assert report.max_shift > 1, "65504 ÷ 300 is not 255: the rounded run shows it"


def test_a_network_within_range_fits_and_hardly_moves():
    model = _network(3.0)
    report = examine(model, to_half(model, []), [IMAGE])
    assert report.peak.fits
    assert report.max_shift <= 1


def test_half_of_the_range_is_the_limit_not_all_of_it():
    model = _network(150.0)  # peaks at 38250: FP16 holds it, with too little room
    report = examine(model, to_half(model, []), [IMAGE])
    assert report.peak.value < 65504
    assert not report.peak.fits


def test_nan_does_not_pass_as_small():
    model = _network(3.0)
    node = onnx.NodeProto()
    node.CopyFrom(helper.make_node("Log", ["x0"], ["middle"], name="body/log"))
    model.graph.node[1].CopyFrom(helper.make_node("Sub", ["x", "far"], ["x0"], name="body/sub"))
    model.graph.node.insert(2, node)
    model.graph.initializer.append(numpy_helper.from_array(np.array(1000, np.float32), "far"))
    assert not examine(model, to_half(model, []), [IMAGE]).peak.fits


def test_an_epsilon_of_an_fp32_island_is_not_rounded_away():
    """0 / max(0, 1e-10) is 0 in the FP32 island; with the epsilon rounded to half it would be NaN."""
    model = _network(3.0)
    length = helper.make_node("Max", ["middle", "least"], ["length"], name="island/max")
    quotient = helper.make_node("Div", ["middle", "length"], ["quotient"], name="island/div")
    zero = helper.make_node("Mul", ["quotient", "middle"], ["beside"], name="island/mul")
    last = len(model.graph.node) - 1
    for offset, node in enumerate((length, quotient, zero)):
        model.graph.node.insert(last + offset, node)
    model.graph.initializer.append(numpy_helper.from_array(np.array(1e-10, np.float32), "least"))
    model.graph.output.append(helper.make_tensor_value_info("beside", onnx.TensorProto.FLOAT, None))
    dark = {name: array * 0 for name, array in IMAGE.items()}
    report = examine(model, to_half(model, ["island"]), [dark])
    assert np.isfinite(report.mean_shift)


def test_every_batch_counts_whichever_comes_first():
    dark, light = {"image": np.full(4, 3, np.uint8)}, {"image": np.full(4, 255, np.uint8)}
    model = _network(300.0)
    for batches in ([dark, light], [light, dark], iter([dark, dark, light])):
        assert examine(model, to_half(model, []), batches).peak.value == 255 * 300


def test_what_an_fp32_island_hands_over_has_to_fit_too():
    model = _network(300.0)
    report = examine(model, to_half(model, ["body/mul"]), [IMAGE])
    assert (report.peak.fits, report.peak.tensor) == (False, "middle")
    assert examine(model, to_half(model, ["body"]), [IMAGE]).peak.fits


def test_the_nodes_around_a_tensor_are_those_to_leave_in_fp32():
    model = _network(300.0)
    assert nodes_around(model, "middle") == ["body/mul", "body/div"]
    assert examine(model, to_half(model, nodes_around(model, "middle")), [IMAGE]).peak.fits
