"""Linear interpolation along one axis as a matrix."""

from __future__ import annotations

import numpy as np

MODES = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
"""ONNX's coordinate_transformation_mode, as far as it is here."""


def matrix(before: int, after: int, mode: str) -> np.ndarray:
    """float64 [after, before] whose product with `before` samples gives `after`: ONNX's Resize, mode linear.

    Sample positions beyond the ends are clamped to them, so every row's sum is 1. `mode` is one of MODES.
    """
    place = np.arange(after, dtype=np.float64)
    if mode == "asymmetric":
        place *= before / after
    elif mode == "align_corners":
        place *= (before - 1) / max(after - 1, 1)
    elif mode == "pytorch_half_pixel" and after == 1:
        place[:] = 0
    else:
        place = (place + 0.5) * before / after - 0.5
    place = place.clip(0, before - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, before - 1)
    share = place - low
    found = np.zeros((after, before))
    lines = np.arange(after)
    np.add.at(found, (lines, low), 1 - share)
    np.add.at(found, (lines, high), share)
    return found
