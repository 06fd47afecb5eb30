"""Hand-drawn mattes of real photographs: polygons in JSON → masks.

A mask file holds the picture's size, `person` polygons, `ignore` polygons (what a matting may keep or drop with equal
right) and `band`, how many pixels on either side of the person's outline are not counted, since no hand draws hair to
the pixel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

DRAWN = Path(__file__).resolve().parents[2] / "tests" / "data"
_SUBPIXEL_BITS = 6


@dataclass(frozen=True)
class RealMask:
    """`person` and `counted`: bool [H, W]; a pixel outside `counted` takes no part in any figure."""

    person: NDArray[np.bool_]
    counted: NDArray[np.bool_]


def load(path: Path) -> RealMask:
    """The masks of one polygon file."""
    drawn = json.loads(path.read_text())
    height, width = drawn["size"]
    person = _fill(drawn["person"], height, width)
    ignore = _fill(drawn["ignore"], height, width)
    # Distances are measured with the frame replicated: the person goes on beyond the frame, there is no outline.
    outside = _distance(~person)
    inside = _distance(person)
    near = (outside <= drawn["band"]) & (inside <= drawn["band"])
    near_ignored = _distance(~ignore) <= (drawn["band"] if ignore.any() else -1)
    return RealMask(person, ~(near | ignore | near_ignored))


def _fill(polygons: list[list[list[float]]], height: int, width: int) -> NDArray[np.bool_]:
    mask = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        # fillPoly speaks of pixel centres, the files of pixel edges: half a pixel apart.
        corners = np.rint((np.array(polygon) - 0.5) * 2**_SUBPIXEL_BITS).astype(np.int32)
        cv2.fillPoly(mask, [corners], 1, shift=_SUBPIXEL_BITS)
    return mask.astype(bool)


def _distance(of: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 [H, W]: pixels from each true pixel to the nearest false one, 0 on false ones."""
    return np.asarray(cv2.distanceTransform(of.astype(np.uint8), cv2.DIST_L2, 5), np.float32)
