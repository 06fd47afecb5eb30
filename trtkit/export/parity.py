"""Do two forms of one network give the same answer on real photographs?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from trtkit.errors import Mistake
from trtkit.models.spec import Model, NetworkSpec

Run = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]

SIZES = ((256, 320), (512, 512), (448, 640))
BATCHES = (1, 3)


def sample_batches(
    model: Model, spec: NetworkSpec, photographs: list[np.ndarray]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """(label such as '3x448x640', input batch) for every size and batch; a fixed-size network has one size."""
    for size in _sizes(spec):
        for batch in BATCHES:
            chosen = [photographs[i % len(photographs)] for i in range(batch)]
            yield f"{batch}x{size[0]}x{size[1]}", model.sample_inputs(spec.name, chosen, size)


def range_batches(model: Model, spec: NetworkSpec, photographs: list[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Input batches in which every photograph is seen once, and the first few at every size.

    Raises Mistake where none of them leads to the network, as a decision before it may have it.
    """
    most = max(BATCHES)
    smallest, *others = _sizes(spec)
    groups = [(photographs[first : first + most], smallest) for first in range(0, len(photographs), most)]
    groups += [(photographs[:most], size) for size in others]
    seen, unseen = 0, None
    for chosen, size in groups:
        try:
            batch = model.sample_inputs(spec.name, chosen, size)
        except Mistake as error:
            unseen = error
        else:
            seen += 1
            yield batch
    if unseen is not None and not seen:
        raise unseen


def _sizes(spec: NetworkSpec) -> tuple[tuple[int, int], ...]:
    image = spec.inputs[0]
    if {"H", "W"} & set(image.dynamic_axes.values()):
        return SIZES
    # Pictures have their channels last, maps of numbers have them first.
    height, width = image.shape[-2:] if spec.relative and image.dtype != "uint8" else image.shape[1:3]
    return ((int(height), int(width)),)


def differences(
    reference: Run, candidate: Run, batches: Iterator[tuple[str, dict[str, np.ndarray]]], relative: bool = False
) -> dict[str, dict[str, float]]:
    """Largest and mean absolute difference over all outputs, for each batch: in the output's own units, or `relative`
    to the output's largest magnitude in that batch."""
    figures = {}
    for label, arrays in batches:
        found = gaps(reference(arrays), candidate(arrays), relative)
        figures[label] = {
            "max": max(float(gap.max()) for gap in found),
            "mean": rounded(max(float(gap.mean()) for gap in found)),
        }
    return figures


def gaps(wanted: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray], relative: bool = False) -> list[np.ndarray]:
    """|wanted − found| of each output, float64; infinite where either is not finite, so that no NaN passes as small."""
    made = []
    for name, reference in wanted.items():
        exact = reference.astype(np.float64)
        gap = np.abs(exact - found[name].astype(np.float64))
        scale = max(float(np.abs(exact).max(initial=0.0)), _LEAST) if relative else 1.0
        made.append(np.nan_to_num(gap / scale, nan=np.inf))
    return made


_LEAST = 1e-12
"""An output that is 0 everywhere has no magnitude to be compared with."""


def rounded(value: float) -> float:
    """Six decimals, or six digits where that would leave none of a small share."""
    return round(value, 6) if value >= 1e-3 or value == 0 else float(f"{value:.6g}")


def worst(figures: dict[str, dict[str, float]], figure: str) -> tuple[str, float]:
    """(label, value) of the batch where `figure` ('max' or 'mean') is largest."""
    label = max(figures, key=lambda key: figures[key][figure])
    return label, figures[label][figure]
