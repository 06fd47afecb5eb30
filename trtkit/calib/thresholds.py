"""How much of a tensor's range to keep in 127 steps: everything, all but a sliver, or what loses least information."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from trtkit.calib.histogram import Histogram
from trtkit.calib.qdq import LEVELS
from trtkit.config import Method

METHODS: tuple[str, ...] = get_args(Method)

PERCENTILE = 99.999
"""Share of all values, in percent, that lie inside the limit of the percentile method."""

_QUANTIZED = LEVELS + 1
"""Levels of a magnitude, with 0."""


def parameters(method: Method) -> dict[str, float]:
    """What the method depends on beside the histogram: a part of the calibration's key."""
    return {"percentile": PERCENTILE} if method == "percentile" else {}


def limit(histogram: Histogram, method: Method) -> float:
    """The largest magnitude that is still represented, at most the histogram's peak."""
    if method == "minmax":
        return histogram.peak
    if method == "percentile":
        return min(histogram.peak, percentile(histogram, PERCENTILE))
    return min(histogram.peak, entropy(histogram))


def percentile(histogram: Histogram, percent: float) -> float:
    """The upper edge of the first bin up to which at least `percent` of all values lie."""
    reached = np.cumsum(histogram.counts)
    bin_index = int(np.searchsorted(reached, reached[-1] * (percent / 100)))
    return (bin_index + 1) * histogram.bin_width


def entropy(histogram: Histogram) -> float:
    """The limit whose clipped, quantized distribution diverges least (Kullback-Leibler) from the true one.

    Migacz, "8-bit inference with TensorRT" (GTC 2017): for each candidate the values beyond it are counted into its
    last bin, the bins below it are merged into 128 levels, and each level is spread evenly over its bins that are
    not empty. The bin at 0 counts as its neighbour does: ReLU puts half of all values there, exactly represented
    whatever the scale, and their weight would push the limit down.
    """
    counts = histogram.counts.astype(np.float64)
    counts[0] = counts[1]
    used = int(np.flatnonzero(counts)[-1]) + 1 if counts.any() else 0
    if used <= _QUANTIZED:
        return histogram.peak
    candidates = range(_QUANTIZED, used + 1, max(1, (used - _QUANTIZED) // 512))
    losses = [_divergence(counts, stop) for stop in candidates]
    return candidates[int(np.argmin(losses))] * histogram.bin_width


def _divergence(counts: NDArray[np.float64], stop: int) -> float:
    inside = counts[:stop]
    reference = inside.copy()
    reference[-1] += counts[stop:].sum()
    edges = np.arange(_QUANTIZED + 1) * stop // _QUANTIZED
    filled = inside > 0
    sums = np.add.reduceat(inside, edges[:-1])
    spread = np.maximum(np.add.reduceat(filled.astype(np.float64), edges[:-1]), 1.0)
    quantized = np.repeat(sums / spread, np.diff(edges)) * filled
    if not sums.any():
        return math.inf  # everything lies beyond: nothing would be left
    p, q = reference / reference.sum(), quantized / quantized.sum()
    both = p > 0
    # A bin that only clipping filled has no share in q: a tiny one stands for it, or it would be infinite.
    return float((p[both] * np.log(p[both] / np.maximum(q[both], 1e-12))).sum())
