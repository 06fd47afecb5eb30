"""Equalized networks compute what they did."""

import numpy as np
import pytest
from onnx import helper, numpy_helper

from tests.calib.test_placement import RESIDUAL, UNET, graph
from trtkit.calib.equalize import MOST, equalize
from trtkit.runtime.cpu import CpuBackend


def lopsided(nodes):
    """The graph with random weights whose channels differ by two orders of magnitude, a bias each."""
    model = graph([node for node in nodes if node[0] != "Resize"])
    dice = np.random.default_rng(0)
    for tensor in list(model.graph.initializer):
        if tensor.name.endswith(".weight"):
            weights = dice.standard_normal(tuple(tensor.dims)) * 10 ** dice.uniform(-1, 1, (tensor.dims[0], 1, 1, 1))
            tensor.CopyFrom(numpy_helper.from_array((weights * 0.3).astype(np.float32), tensor.name))
    for node in model.graph.node:
        if node.op_type == "Conv":
            bias = f"{node.name}.bias"
            model.graph.initializer.append(numpy_helper.from_array(dice.standard_normal(4).astype(np.float32), bias))
            node.input.append(bias)
            node.attribute.append(helper.make_attribute("pads", [1, 1, 1, 1]))
    model.opset_import[0].version = 20
    model.ir_version = 10
    return model


def wide(nodes):
    """UNET without its resize: the concatenation takes the skip twice; the convolution behind it reads 8 channels."""
    changed = [
        ("Concat", "join", ["skip", "deep"], "4", {"axis": 1}) if node[1] == "join" else node
        for node in nodes
        if node[0] not in ("Resize", "MaxPool")
    ]
    return [
        ("Conv", "down.1", ["skip"], "3") if node[1] == "down.1" else node
        for node in [*changed[:4], ("Relu", "act", ["3"], "deep"), *changed[4:]]
    ]


@pytest.fixture(params=["chain", "concatenation", "residual"])
def model(request):
    if request.param == "concatenation":
        made = lopsided(wide(UNET))
        for tensor in made.graph.initializer:
            if tensor.name == "up.0.weight":
                both = np.concatenate([numpy_helper.to_array(tensor)] * 2, axis=1)
                tensor.CopyFrom(numpy_helper.from_array(both * np.float32(0.5), tensor.name))
        return made
    if request.param == "residual":
        return lopsided(RESIDUAL)
    return lopsided([("Conv", "a", ["x"], "1"), ("LeakyRelu", "act", ["1"], "2"), ("Conv", "b", ["2"], "y")])


def kernels(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.name.endswith(".weight")}


def test_it_computes_the_same(model):
    x = {"x": np.random.default_rng(1).standard_normal((2, 4, 12, 12)).astype(np.float32)}
    with CpuBackend(model.SerializeToString()) as before, CpuBackend(equalize(model).SerializeToString()) as after:
        wanted, found = before.run(x)["y"], after.run(x)["y"]
    assert np.abs(wanted - found).max() <= 1e-4 * np.abs(wanted).max()


def test_it_changes_weights_and_levels_their_channels(model):
    before, after = kernels(model), kernels(equalize(model))
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert changed

    def spread(weights):
        return np.log(np.abs(weights).max(axis=(1, 2, 3))).std()

    first = changed[0]
    assert spread(after[first]) < spread(before[first])


def test_a_sum_keeps_the_channels_it_adds():
    """The residual side and the main branch must stay in one unit: only what is inside the block is levelled."""
    model = lopsided(RESIDUAL)
    before, after = kernels(model), kernels(equalize(model))
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"block.conv1.weight", "block.conv2.weight", "after.weight", "leave.weight"}
    assert np.array_equal(before["enter.weight"], after["enter.weight"])


def test_no_factor_is_extreme_and_dead_channels_stay():
    model = lopsided([("Conv", "a", ["x"], "1"), ("Relu", "act", ["1"], "2"), ("Conv", "b", ["2"], "y")])
    for tensor in model.graph.initializer:
        if tensor.name == "a.weight":
            weights = numpy_helper.to_array(tensor).copy()
            weights[0], weights[1] = 0, weights[1] * 1e6
            tensor.CopyFrom(numpy_helper.from_array(weights, tensor.name))
    before, after = kernels(model)["a.weight"], kernels(equalize(model))["a.weight"]
    assert not after[0].any()
    ratio = np.abs(before[1:]).max(axis=(1, 2, 3)) / np.abs(after[1:]).max(axis=(1, 2, 3))
    assert ((ratio >= 1 / MOST / 1.01) & (ratio <= MOST * 1.01)).all()
    assert np.isfinite(after).all()


def test_the_given_model_is_left_as_it_was(model):
    before = model.SerializeToString()
    equalize(model)
    assert model.SerializeToString() == before
