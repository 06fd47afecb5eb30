from __future__ import annotations

import pytest

from trtkit.build_engines.memory_plan import read_memory_plan
from trtkit.errors import CheckFailed
from trtkit.manifest import MemoryPlan

ACTIVATIONS = "Total Activation Memory: 9240576 bytes"
WEIGHTS = "Total Weights Memory: 3136 bytes"


def test_both_lines_are_read_and_the_largest_profile_counts():
    lines = ["Detected 1 inputs", ACTIVATIONS, "Total Activation Memory: 10289152 bytes", WEIGHTS]
    assert read_memory_plan(lines, "net.onnx") == MemoryPlan(activation_bytes=10289152, weights_bytes=3136)


@pytest.mark.parametrize(("lines", "missing"), [([WEIGHTS], "Activation"), ([ACTIVATIONS], "Weights"), ([], "Activ")])
def test_a_missing_line_fails_and_is_not_a_zero(lines, missing):
    with pytest.raises(CheckFailed, match=f"net.onnx has no line 'Total {missing}"):
        read_memory_plan(lines, "net.onnx")
