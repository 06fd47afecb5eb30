"""68 landmarks on a 224 × 224 crop, as the face-alignment package finds them: S³FD, a crop, FAN's heat maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn import anchors
from trtkit.models.hrn.coefficients import Floats

LEAST_SCORE, MOST_OVERLAP = 0.5, 0.3
_MEAN_BGR = (104, 117, 123)
_GRIDS = ((4, 56), (8, 28), (16, 14), (32, 11), (64, 6), (128, 3))
"""Stride and cells a side. From 32 on there are more cells than the crop has room for: a convolution is padded by 3."""
_UNIT, _REFERENCE, _HEAT, _INPUT = 200.0, 195.0, 64, 256


def detector_input(crop: NDArray[np.uint8]) -> Floats:
    """RGB [224, 224, 3] → float32 [3, 224, 224] BGR less its mean."""
    return np.asarray((crop[..., ::-1] - np.array(_MEAN_BGR, np.float32)).transpose(2, 0, 1), np.float32)


@cache
def cells() -> Floats:
    made = []
    for stride, many in _GRIDS:
        centre = stride / 2 + np.arange(many) * stride
        y, x = np.meshgrid(centre, centre, indexing="ij")
        made.append(np.stack([x, y, np.full_like(x, 4 * stride), np.full_like(x, 4 * stride)], axis=-1).reshape(-1, 4))
    return np.concatenate(made).astype(np.float32)


def box_of(offsets: Floats, logits: Floats) -> Floats | None:
    """The surest face of one crop, (x1, y1, x2, y2), or None."""
    scores = anchors.face_scores(logits)
    likely = np.flatnonzero(scores > LEAST_SCORE)
    if not len(likely):
        return None
    boxes = anchors.decode(offsets[likely], cells()[likely])
    found: Floats = boxes[anchors.best(boxes, scores[likely], MOST_OVERLAP, closed=1.0)[0]]
    return found


@dataclass(frozen=True)
class Window:
    """What FAN sees of the crop: a square of `side` around (`x`, `y`)."""

    x: float
    y: float
    side: float

    def back(self, points: Floats, resolution: int) -> Floats:
        """Points in a square of `resolution` → whole pixels of the crop, cut toward 0 as the package does."""
        return np.trunc(points * (self.side / resolution) + [self.x - self.side / 2, self.y - self.side / 2])


def window_of(box: Floats) -> Window:
    """Around the middle of a detected box, an eighth of its height up: the jaw is in the box, the forehead is not."""
    width, height = float(box[2] - box[0]), float(box[3] - box[1])
    side = _UNIT * (width + height) / _REFERENCE
    return Window(float(box[2]) - width / 2, float(box[3]) - height / 2 - 0.12 * height, side)


def fan_input(crop: NDArray[np.uint8], window: Window) -> Floats:
    """float32 [3, 256, 256] RGB in 0..1, black beyond the crop."""
    left, top = (int(v) for v in window.back(np.array([1.0, 1.0]), _INPUT))
    right, bottom = (int(v) for v in window.back(np.array([float(_INPUT)] * 2), _INPUT))
    canvas = np.zeros((max(bottom - top, 1), max(right - left, 1), 3), np.uint8)
    y1, x1, y2, x2 = max(top, 0), max(left, 0), min(bottom, crop.shape[0]), min(right, crop.shape[1])
    if y2 > y1 and x2 > x1:
        canvas[y1 - top : y2 - top, x1 - left : x2 - left] = crop[y1:y2, x1:x2]
    resized = cv2.resize(canvas, (_INPUT, _INPUT), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized.transpose(2, 0, 1) / np.float32(255), np.float32)


def points_of(heat: Floats, window: Window) -> Floats:
    """Heat maps [68, 64, 64] → points [68, 2] of the crop: each maximum, a quarter of a cell toward its higher
    neighbours."""
    flat = heat.reshape(len(heat), -1).argmax(axis=1)
    y, x = np.divmod(flat, _HEAT)
    points = np.stack([x, y], axis=1).astype(np.float32)
    inner = (x > 0) & (x < _HEAT - 1) & (y > 0) & (y < _HEAT - 1)
    k, cx, cy = np.flatnonzero(inner), x[inner], y[inner]
    slope = np.stack([heat[k, cy, cx + 1] - heat[k, cy, cx - 1], heat[k, cy + 1, cx] - heat[k, cy - 1, cx]], axis=1)
    points[inner] += np.sign(slope) * 0.25
    # Cells count from 1 in the package, and their centres lie half a cell back.
    return np.asarray(window.back(points + 0.5, _HEAT), np.float32)
