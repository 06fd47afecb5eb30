"""Five points of a face from its grey picture and boxes where its eyes may be."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.dct_net.align import TEMPLATE, similarity

Image = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""

_USUAL = ((0.31, 0.39), (0.69, 0.39))
"""Where eyes lie in a box of OpenCV's frontal cascade, in shares of it."""
_APART = (0.28, 0.52)
"""Distances between two eyes that are believed, in shares of the box."""
_DARKEST = 63
"""The darkest quarter of an equalized picture."""
_TILT = 0.5
"""The steepest line through two eyes that is believed: the cascade knows upright faces."""


def five_points(grey: Image, eyes: list[Box]) -> NDArray[np.float64]:
    """Eyes, nose and mouth corners, float64 [5, 2] (x, y), in a face box's picture `grey` uint8 [S, S].

    The eyes are the pupils within the best pair of `eyes`, or where eyes usually lie. Nose and mouth follow from
    them by the template's proportions: the head is then aligned by its eyes alone.
    """
    side = grey.shape[0]
    pair = _pair(eyes, side)
    if pair is None:
        found = np.array(_USUAL) * side - 0.5
    else:
        found = np.array([pupil(grey, box) for box in pair])
        if not _believed(found, side):
            found = np.array([_centre(box) for box in pair])
    to_face = similarity(TEMPLATE[:2], found)
    rest = TEMPLATE[2:] @ to_face[:, :2].T + to_face[:, 2]
    return np.concatenate([found, rest])


def pupil(grey: Image, box: Box) -> tuple[float, float]:
    """The pupil in an eye's `box`: the median of its dark pixels; the box's centre if there are none.

    Dark is below Otsu's threshold of the equalized crop and among its darkest quarter, within an ellipse that leaves
    out brow and bag: where the white of the eye is brighter than the skin, Otsu alone counts the skin as dark.
    """
    x, y, width, height = box
    top, left = y + height * 3 // 10, x + width // 6
    crop = grey[top : y + height * 8 // 10, left : x + width - width // 6]
    if min(crop.shape) < 3:
        return _centre(box)
    even = cv2.equalizeHist(np.ascontiguousarray(crop))
    threshold, _ = cv2.threshold(even, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    dark = even <= min(threshold, _DARKEST)
    within = np.zeros_like(crop)
    middle, radii = (crop.shape[1] // 2, crop.shape[0] // 2), (crop.shape[1] // 2, crop.shape[0] // 2)
    cv2.ellipse(within, middle, radii, 0, 0, 360, 255, -1)
    rows, columns = np.nonzero(dark & (within > 0))
    if rows.size == 0:
        return _centre(box)
    return left + float(np.median(columns)), top + float(np.median(rows))


def _pair(eyes: list[Box], side: int) -> tuple[Box, Box] | None:
    """The two boxes, left and right, that lie most like a face's eyes; None if no two do."""
    usual = np.array(_USUAL) * side
    best, least = None, np.inf
    for left in eyes:
        for right in eyes:
            centres = np.array([_centre(left), _centre(right)])
            off = float(np.abs(centres - usual).sum())
            if _believed(centres, side) and off < least:
                best, least = (left, right), off
    return best


def _believed(centres: NDArray[np.float64], side: int) -> bool:
    across, down = centres[1] - centres[0]
    return bool(_APART[0] * side <= across <= _APART[1] * side and abs(down) <= _TILT * across)


def _centre(box: Box) -> tuple[float, float]:
    return box[0] + (box[2] - 1) / 2, box[1] + (box[3] - 1) / 2
