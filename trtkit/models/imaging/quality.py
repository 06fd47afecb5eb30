"""How like two pictures are: peak signal-to-noise ratio and structural similarity."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

WINDOW = 11
"""Side of SSIM's window: a picture must be as large."""

_SIGMA = 1.5
_PEAK = 255.0
_C1, _C2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2


def psnr(a: Image, b: Image) -> float:
    """10·log10(255² / mean squared difference) in decibels of two uint8 arrays of one shape; inf if they are equal."""
    mean = float(np.mean(np.square(cv2.absdiff(a, b), dtype=np.float32), dtype=np.float64))
    return math.inf if mean == 0 else 10 * math.log10(_PEAK**2 / mean)


def ssim(a: Image, b: Image) -> float:
    """Mean structural similarity of two uint8 pictures [H, W] or [H, W, C] of one shape, -1..1, 1 if they are equal.

    Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE
    Transactions on Image Processing 13(4), 2004: equation 13 with a Gaussian window of 11x11 and sigma 1.5, where it
    lies wholly within the picture; the mean over the channels. H and W must be 11 or more.
    """
    if min(a.shape[:2]) < WINDOW:
        raise ValueError(f"SSIM's window does not fit into {a.shape}")
    if a.ndim == 2:
        a, b = a[..., None], b[..., None]
    return float(np.mean([_channel(a[..., c], b[..., c]) for c in range(a.shape[2])]))


def _channel(a: Image, b: Image) -> float:
    x, y = a.astype(np.float64), b.astype(np.float64)
    mx, my = _mean(x), _mean(y)
    vx, vy = _mean(x * x) - mx * mx, _mean(y * y) - my * my
    cov = _mean(x * y) - mx * my
    likeness = (2 * mx * my + _C1) * (2 * cov + _C2) / ((mx * mx + my * my + _C1) * (vx + vy + _C2))
    return float(likeness.mean())


def _mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
    rim = WINDOW // 2
    return np.asarray(cv2.GaussianBlur(x, (WINDOW, WINDOW), _SIGMA)[rim:-rim, rim:-rim], dtype=np.float64)
