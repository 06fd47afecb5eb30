"""Faces in a picture, by RetinaFace: what the network sees, and what its answer means."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn import anchors
from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.specs import DETECT

LEAST_SCORE, MOST_OVERLAP = 0.7, 0.4
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LEVELS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
"""Stride, and the sides of the two anchors of each of its cells."""


def _fit(size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(height, width, top, left) of a picture of `size` (height, width) on the square, centred."""
    scale = DETECT / max(size)
    height, width = (max(1, round(side * scale)) for side in size)
    return height, width, (DETECT - height) // 2, (DETECT - width) // 2


def to_input(rgb: NDArray[np.uint8]) -> Floats:
    """[H, W, 3] → float32 [3, 512, 512]: longest side 512, ImageNet's mean and deviation, zeros around."""
    height, width, top, left = _fit((rgb.shape[0], rgb.shape[1]))
    resized = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_LINEAR)
    normal = (resized / np.float32(255) - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    canvas = np.zeros((3, DETECT, DETECT), np.float32)
    canvas[:, top : top + height, left : left + width] = normal.transpose(2, 0, 1)
    return canvas


@cache
def priors() -> Floats:
    """[10752, 4], centre and size in units of the square's side; rows, then columns, then the two sizes."""
    made = []
    for step, sides in _LEVELS:
        centre = (np.arange(DETECT // step) + 0.5) * step / DETECT
        y, x, side = np.meshgrid(centre, centre, np.array(sides) / DETECT, indexing="ij")
        made.append(np.stack([x, y, side, side], axis=-1).reshape(-1, 4))
    return np.concatenate(made).astype(np.float32)


def boxes_of(offsets: Floats, logits: Floats, size: tuple[int, int]) -> Floats:
    """The network's answer for one picture of `size` (height, width) → boxes [K, 4] (x1, y1, x2, y2) in its pixels,
    the surest first. Whole pixels, cut toward 0, as the official code has it."""
    scores = anchors.face_scores(logits)
    likely = np.flatnonzero(scores > LEAST_SCORE)
    boxes = anchors.decode(offsets[likely], priors()[likely]) * DETECT
    boxes = np.trunc(boxes[anchors.best(boxes, scores[likely], MOST_OVERLAP)])
    height, width = size
    _, _, top, left = _fit(size)
    boxes = np.trunc((boxes - [left, top, left, top]) * (max(size) / DETECT))
    low = np.clip(boxes[:, :2], 0, [width - 1, height - 1])
    high = np.minimum(np.maximum(boxes[:, 2:], low + 1), [width - 1, height - 1])
    found = np.concatenate([low, high], axis=1)
    return np.asarray(found[(high > low).all(axis=1)], np.float32)
