"""Do two forms of one network give the same answer on real photographs?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from trtkit.models.spec import Model, NetworkSpec

Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]

SIZES = ((256, 320), (512, 512), (448, 640))
BATCHES = (1, 3)


def sample_batches(
    model: Model, spec: NetworkSpec, photographs: list[np.ndarray]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """(label such as '3x448x640', input batch) for every size and batch; a fixed-size network has one size."""
    image = spec.inputs[0]
    fixed = not {"H", "W"} & set(image.dynamic_axes.values())
    sizes = ((image.shape[1], image.shape[2]),) if fixed else SIZES
    for size in sizes:
        for batch in BATCHES:
            chosen = [photographs[i % len(photographs)] for i in range(batch)]
            yield f"{batch}x{size[0]}x{size[1]}", model.sample_inputs(spec.name, chosen, size)


def differences(
    reference: Run, candidate: Run, batches: Iterator[tuple[str, dict[str, np.ndarray]]]
) -> dict[str, dict[str, float]]:
    """Largest and mean absolute difference over all outputs, for each batch, in the output's own units."""
    figures = {}
    for label, arrays in batches:
        wanted, found = reference(arrays), candidate(arrays)
        gaps = [np.abs(wanted[name].astype(np.float64) - found[name].astype(np.float64)) for name in wanted]
        figures[label] = {
            "max": max(float(gap.max()) for gap in gaps),
            "mean": round(max(float(gap.mean()) for gap in gaps), 6),
        }
    return figures


def worst(figures: dict[str, dict[str, float]], figure: str) -> tuple[str, float]:
    """(label, value) of the batch where `figure` ('max' or 'mean') is largest."""
    label = max(figures, key=lambda key: figures[key][figure])
    return label, figures[label][figure]
