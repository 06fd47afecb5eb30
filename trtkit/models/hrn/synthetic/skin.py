"""The made-up face's colours over the UV square: skin with brows, eyes and lips, and how they vary."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn.coefficients import Floats

Doubles = NDArray[np.float64]

SIDE = 128
_SKIN, _BROW, _LIP, _WHITE, _IRIS = (205, 160, 135), (70, 48, 38), (176, 84, 82), (235, 232, 228), (60, 70, 75)


def colours() -> tuple[Floats, Floats]:
    """(mean [SIDE·SIDE·3] in 0..255, basis [SIDE·SIDE·3, 80])."""
    centre = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    u, v = centre[None, :], -centre[:, None]
    skin = np.ones((SIDE, SIDE, 1)) * np.array(_SKIN)
    brows, lips = np.zeros((SIDE, SIDE)), _soft(u, v, 0, -0.37, 0.27, 0.09)
    whites, irises = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for side in (-1, 1):
        brows = np.maximum(brows, _soft(u, v, 0.32 * side, 0.45, 0.22, 0.04))
        whites = np.maximum(whites, _soft(u, v, 0.31 * side, 0.25, 0.14, 0.055))
        irises = np.maximum(irises, _soft(u, v, 0.31 * side, 0.25, 0.05, 0.05))
    mean = skin
    for layer, tone in ((lips, _LIP), (brows, _BROW), (whites, _WHITE), (irises, _IRIS)):
        mean = mean * (1 - layer[..., None]) + layer[..., None] * np.array(tone)
    basis = np.zeros((SIDE * SIDE * 3, 80), np.float32)
    tones = np.array([[22, 20, 18], [10, -4, -8]], np.float64)
    layers: list[tuple[Doubles, Doubles]] = [
        (1 - whites, tones[0]),
        (1 - whites, tones[1]),
        (lips, np.array([14.0, -12, -8])),
        (brows, tones[0]),
    ]
    layers += [(_soft(u, v, 0, -0.1, 0.7, 0.15), np.array([9.0, -5, -5])), (irises, np.array([-15.0, 5, 30]))]
    for k, (where, colour) in enumerate(layers):
        basis[:, k] = (where[..., None] * colour).reshape(-1)
    return mean.reshape(-1).astype(np.float32), basis


def _soft(u: Doubles, v: Doubles, u0: float, v0: float, width: float, height: float) -> Doubles:
    """1 inside an ellipse, 0 outside, soft over a tenth of it."""
    radius = np.sqrt(((u - u0) / width) ** 2 + ((v - v0) / height) ** 2)
    return np.asarray(np.clip((1.1 - radius) / 0.2, 0, 1))
