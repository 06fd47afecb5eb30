"""Boxes of single-shot detectors: offsets from anchors, and of overlapping boxes the best."""

from __future__ import annotations

import numpy as np

from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry.face_model import Ints


def decode(offsets: Floats, anchors: Floats) -> Floats:
    """`offsets` [P, 4] from `anchors` [P, 4] (centre x, y, width, height) → corners [P, 4] (x1, y1, x2, y2).

    Variances 0.1 and 0.2, as in SSD (Liu et al., arXiv 1512.02325).
    """
    centre = anchors[:, :2] + 0.1 * offsets[:, :2] * anchors[:, 2:]
    # A wild offset must not overflow: no face is e⁸ anchors wide.
    size = anchors[:, 2:] * np.exp(np.minimum(0.2 * offsets[:, 2:], 8))
    return np.asarray(np.concatenate([centre - size / 2, centre + size / 2], axis=1), np.float32)


def face_scores(logits: Floats) -> Floats:
    """[P, 2] (background, face) → the face's probability [P]."""
    gap = np.clip(logits[:, 0] - logits[:, 1], -60, 60)
    return np.asarray(1 / (1 + np.exp(gap)), np.float32)


def best(boxes: Floats, scores: Floats, overlap: float, closed: float = 0.0) -> Ints:
    """Indices of the boxes to keep, best first: one is dropped where it shares more than `overlap` (intersection over
    union) with a better one. `closed` is 1 where a box includes its last pixel."""
    order = np.argsort(-scores, kind="stable")
    area = ((boxes[:, 2:] - boxes[:, :2]) + closed).prod(axis=1)
    kept: list[int] = []
    while len(order):
        first, order = order[0], order[1:]
        kept.append(int(first))
        low = np.maximum(boxes[first, :2], boxes[order, :2])
        high = np.minimum(boxes[first, 2:], boxes[order, 2:])
        shared = np.maximum(high - low + closed, 0).prod(axis=1)
        order = order[shared <= overlap * (area[first] + area[order] - shared)]
    return np.array(kept, np.int64)
