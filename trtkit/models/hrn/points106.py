"""106 landmarks of each face: the square around it that the network sees, and its answer in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.specs import FACE

ENLARGE = 1.35
MEAN = (103.94, 116.78, 123.68)
"""Taken from red, green and blue in this order, which the network was trained with; also what lies beyond the rim."""


@dataclass(frozen=True)
class Square:
    """Corner and side in pixels of the picture; not whole numbers."""

    x: float
    y: float
    side: float


def around_box(box: Floats) -> Square:
    """The square of 1.35 times the longer side around a box (x1, y1, x2, y2), its last pixel counted in."""
    side = float(max(box[2] - box[0], box[3] - box[1]) + 1) * ENLARGE
    return Square(float(box[0] + box[2]) / 2 - side / 2, float(box[1] + box[3]) / 2 - side / 2, side)


def around_points(points: Floats) -> Square:
    """The same around the extent of points [K, 2]."""
    return around_box(np.concatenate([points.min(axis=0), points.max(axis=0)]))


def to_input(rgb: NDArray[np.uint8], square: Square) -> Floats:
    """float32 [3, 224, 224]: the square cut at whole pixels, filled where it leaves the picture, normalised."""
    height, width = rgb.shape[:2]
    x1, y1 = int(max(0.0, square.x)), int(max(0.0, square.y))
    x2, y2 = int(min(width, square.x + square.side)), int(min(height, square.y + square.side))
    inside = rgb[y1:y2, x1:x2]
    rim = (
        int(max(0.0, -square.y)),
        int(max(0.0, square.y + square.side - height)),
        int(max(0.0, -square.x)),
        int(max(0.0, square.x + square.side - width)),
    )
    if inside.size == 0:
        return np.zeros((3, FACE, FACE), np.float32)
    filled = cv2.copyMakeBorder(inside, *rim, cv2.BORDER_CONSTANT, value=MEAN)
    resized = cv2.resize(filled, (FACE, FACE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(((resized - np.array(MEAN)) / 255).transpose(2, 0, 1), np.float32)


def to_picture(points: Floats, square: Square) -> Floats:
    """The network's answer [212] in 0..1 → [106, 2] pixels of the picture."""
    return np.asarray(points.reshape(-1, 2) * square.side + [square.x, square.y], np.float32)
