"""What the pipeline asks of a face detector, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST = 10
"""Faces of a picture that are drawn by the head network: the largest ones."""


@dataclass(frozen=True)
class Face:
    """`box` is (x, y, width, height) in pixels; `points` float64 [5, 2] are (x, y) of both eyes (the picture's left one
    first), the tip of the nose and the corners of the mouth."""

    box: tuple[int, int, int, int]
    points: NDArray[np.float64]


@dataclass(frozen=True)
class Detector:
    """`find` takes RGB uint8 [H, W, 3] from any thread and gives the faces, largest first; `title` says for people
    who finds them."""

    title: str
    find: Callable[[NDArray[np.uint8]], list[Face]]


def largest_first(boxes: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int, int]]:
    """At most ten boxes by falling area; a box whose centre lies in a larger one is the same face, and is dropped."""
    kept: list[tuple[int, int, int, int]] = []
    for box in sorted(boxes, key=lambda b: b[2] * b[3], reverse=True):
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        if not any(b[0] <= x <= b[0] + b[2] and b[1] <= y <= b[1] + b[3] for b in kept):
            kept.append(box)
    return kept[:MOST]
