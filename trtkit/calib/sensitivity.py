"""What each layer's quantization costs alone, so that the few that cost most can stay FP16."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto

from trtkit.calib.placement import place
from trtkit.calib.qdq import insert
from trtkit.files import write_whole
from trtkit.runtime.cpu import CpuBackend

IMAGES = 4
"""Pictures a layer is judged on: a layer's rank settles long before its cost does."""


@dataclass(frozen=True)
class LayerCost:
    """`cost`: how far the answer moves when this convolution alone is quantized: by the mean absolute change of the
    output, in its own units, or as the model has it."""

    name: str
    cost: float


def measure(
    exact: ModelProto,
    layers: Sequence[str],
    limits: Mapping[str, float],
    batches: Sequence[Mapping[str, np.ndarray]],
    apart: Callable[[Mapping[str, np.ndarray], Mapping[str, np.ndarray]], float],
    done: Callable[[str], None] = lambda layer: None,
) -> list[LayerCost]:
    """The cost of each of `layers`, dearest first. The graph around the one layer stays FP32."""
    with CpuBackend(exact.SerializeToString()) as backend:
        wanted = [backend.run(arrays) for arrays in batches]
    costs = []
    for layer in layers:
        alone = insert(exact, exact, place(exact, (), only=[layer]), limits)
        with CpuBackend(alone.SerializeToString()) as backend:
            moved = [apart(reference, backend.run(arrays)) for reference, arrays in zip(wanted, batches, strict=True)]
        costs.append(LayerCost(layer, round(float(np.mean(moved)), 6)))
        done(layer)
    return sorted(costs, key=lambda cost: (-cost.cost, cost.name))


def write(path: Path, scales_sha256: str, costs: Sequence[LayerCost]) -> None:
    """Keep the costs with the hash of the scales they were measured with."""
    text = {"scales_sha256": scales_sha256, "costs": {cost.name: cost.cost for cost in costs}}
    write_whole(path, (json.dumps(text, indent=2) + "\n").encode())


def read(path: Path, scales_sha256: str) -> list[LayerCost] | None:
    """The costs kept at `path`, dearest first; None if there are none for these scales."""
    try:
        kept = json.loads(path.read_bytes())
        if kept["scales_sha256"] != scales_sha256:
            return None
        return [LayerCost(name, float(cost)) for name, cost in kept["costs"].items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there, or not ours: measured anew
