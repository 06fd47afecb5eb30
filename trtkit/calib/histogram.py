"""A histogram of magnitudes that never needs the values again: fixed memory, one pass, whatever comes."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

BINS = 4096
_MOST = 1 << 24
"""Values a call: OpenCV counts in float32, which is exact up to here."""


class Histogram:
    """Counts of |x| in BINS bins over 0..range; the range is a power of two and doubles, merging pairs of bins, when
    a larger value comes. So the result does not depend on the order or the batches that values come in.

    `peak` is the largest magnitude so far, exactly.
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(BINS, np.int64)
        self.range = 2.0**-14
        self.peak = 0.0

    @property
    def bin_width(self) -> float:
        return self.range / BINS

    def add(self, values: NDArray[np.float32]) -> None:
        """Count an array of any shape. Raises ValueError if a value is not finite."""
        magnitudes = np.abs(values, dtype=np.float32).reshape(-1)
        peak = float(magnitudes.max(initial=0.0))
        if not math.isfinite(peak):
            raise ValueError("a value is not finite")
        self.peak = max(self.peak, peak)
        while peak >= self.range:
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(axis=1), np.zeros(BINS // 2, np.int64)])
            self.range *= 2
        for start in range(0, magnitudes.size, _MOST):
            part = magnitudes[start : start + _MOST]
            self.counts += cv2.calcHist([part], [0], None, [BINS], [0.0, self.range])[:, 0].astype(np.int64)
