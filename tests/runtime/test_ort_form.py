"""The quicker form computes what the exported network computes; on the CPU provider, where both run."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from trtkit.runtime import ort_form
from trtkit.runtime.ort_form import form_for

from .fused.networks import FLOAT, guided, picture, reference, two_levels


@pytest.mark.parametrize("network", [two_levels, guided])
def test_the_form_gives_what_the_network_gives(network):
    model = network()
    form = form_for(model)
    onnx.checker.check_model(form, full_check=True)
    assert all(len(node.input) == 2 for node in form.graph.node if node.op_type == "Conv")
    image = picture(2, 16, 24, 3)
    expected = reference(model, image)
    assert np.abs(reference(form, image).astype(int) - expected).max() <= 1
    assert expected.std() > 5


def test_what_would_undo_the_form_is_an_optimizer_of_onnx_runtime(tmp_path):
    """Without it biases stay apart; with it they do not, and the form would be no quicker than the exported file."""
    content = form_for(two_levels()).SerializeToString()
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


def test_in_single_precision_everything_stays():
    assert form_for(two_levels(FLOAT)) is None


def test_the_given_model_is_not_touched():
    model = two_levels()
    before = model.SerializeToString(deterministic=True)
    assert form_for(model) is not None
    assert model.SerializeToString(deterministic=True) == before
