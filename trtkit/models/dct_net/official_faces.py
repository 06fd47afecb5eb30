"""Faces by the snapshot's own `detector.pb` and `keypoints.pb`, fed and read as the official pipeline does.

That pipeline also smooths boxes over the frames of a video, which for one picture changes nothing but the order of
faces of nearly the same size; here the larger one always comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.dct_net import DETECTOR, KEYPOINTS
from trtkit.models.dct_net.faces import MOST, Detector, Face
from trtkit.models.imported.chain import Chain

Image = NDArray[np.uint8]
Points = NDArray[np.float64]
"""[K, 2]: x, y in pixels."""
Run = Callable[[Image], Mapping[str, NDArray]]
"""RGB uint8 [1, S, S, 3] → the graph's outputs by name."""

_DETECTOR_SIDE, _KEYPOINTS_SIDE = 512, 160
"""Of the squares that the two graphs take."""
_IMAGES = "tower_0/images"
_BOXES, _SCORES, _COUNT = DETECTOR.outputs
(_PREDICTION,) = KEYPOINTS.outputs

TITLE = "faces by the official detector and its 68 points"

_MEAN = (123, 116, 103)
"""What surrounds a picture: the mean colour of the detector's training set."""
_LEAST_SCORE = 0.8
_LEAST_FACE = 60
"""Pixels; what is no larger along either side is left to the background network."""
_LEAST_AT = 720
"""The short side at which those are counted: the official pipeline works on no larger picture, `--mode fine` does."""
_CROP = 1.4
"""Side of the square around a face, in widths of its box."""
_LANDMARKS = 68
_RIGHT_EYE, _LEFT_EYE = slice(36, 41), slice(42, 47)
"""Five of the six points of each eye, as the official pipeline takes them; the subject's right eye is on the left."""
_NOSE, _MOUTH = 30, (48, 54)

Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels; may reach past the picture."""


def official_detector(chains: Mapping[str, Chain]) -> Detector | None:
    """The detector on the imported graphs, None if one of them is not there."""
    detector, keypoints = chains.get(DETECTOR.name), chains.get(KEYPOINTS.name)
    if detector is None or keypoints is None:
        return None
    detect, locate = _runner(detector), _runner(keypoints)
    return Detector(TITLE, lambda rgb: find_faces(rgb, detect, locate))


def _runner(chain: Chain) -> Run:
    def run(pixels: Image) -> Mapping[str, NDArray]:
        found = chain.run([{f"{_IMAGES}:0": pixels}])[0]
        return {name.removesuffix(":0"): array for name, array in found.items()}

    return run


def find_faces(rgb: Image, detect: Run, locate: Run) -> list[Face]:
    """Faces in `rgb` uint8 [H, W, 3], largest first."""
    faces = []
    least = _LEAST_FACE * max(1.0, min(rgb.shape[:2]) / _LEAST_AT)
    for box in find_boxes(rgb, detect):
        left, top, right, bottom = box
        if right - left <= least and bottom - top <= least:
            continue
        points = find_landmarks(rgb, box, locate)
        rounded = (round(left), round(top), round(right - left), round(bottom - top))
        faces.append(Face(rounded, five_points(rgb, points)))
    return faces


def find_boxes(rgb: Image, detect: Run) -> list[Box]:
    """At most ten boxes that the detector is sure of, by falling area."""
    scale = _DETECTOR_SIDE / max(rgb.shape[:2])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    canvas = np.full((1, _DETECTOR_SIDE, _DETECTOR_SIDE, 3), _MEAN, np.uint8)
    canvas[0, : size[1], : size[0]] = cv2.resize(rgb, size, interpolation=cv2.INTER_LINEAR)
    found = detect(canvas)
    count = int(np.ravel(found[_COUNT])[0])
    shares = np.reshape(found[_BOXES], (-1, 4))[:count].astype(np.float64)
    sure = np.ravel(found[_SCORES])[:count] > _LEAST_SCORE
    corners = shares[sure] * _DETECTOR_SIDE / scale
    boxes = [(left, top, right, bottom) for top, left, bottom, right in corners.tolist()]
    return sorted(boxes, key=_area, reverse=True)[:MOST]


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def find_landmarks(rgb: Image, box: Box, locate: Run) -> Points:
    """The 68 points of the face in `box`, whole pixels: float64 [68, 2]."""
    left, top, right, bottom = box
    half = int(_CROP * (right - left) // 2)
    corner = np.array([int((left + right) // 2) - half, int((top + bottom) // 2) - half])
    side = max(2 * half, 1)
    square = _square(rgb, int(corner[0]), int(corner[1]), side)
    small = cv2.resize(square, (_KEYPOINTS_SIDE, _KEYPOINTS_SIDE), interpolation=cv2.INTER_LINEAR)
    shares = np.ravel(locate(np.asarray(small, np.uint8)[None])[_PREDICTION])[: 2 * _LANDMARKS]
    points: Points = np.trunc(shares.reshape(_LANDMARKS, 2).astype(np.float64) * side + corner)
    return points


def _square(rgb: Image, left: int, top: int, side: int) -> Image:
    """uint8 [side, side, 3] from (left, top), the mean colour where the picture ends."""
    square = np.full((side, side, 3), _MEAN, np.uint8)
    rows = slice(max(top, 0), min(top + side, rgb.shape[0]))
    columns = slice(max(left, 0), min(left + side, rgb.shape[1]))
    if rows.start < rows.stop and columns.start < columns.stop:
        square[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = rgb[rows, columns]
    return square


def five_points(rgb: Image, points: Points) -> Points:
    """Both pupils (the picture's left one first), tip of the nose, corners of the mouth: float64 [5, 2].

    If the pupil of one eye cannot be looked for, the middle of its points stands for each.
    """
    eyes = [points[_RIGHT_EYE], points[_LEFT_EYE]]
    pupils = [_pupil(rgb, eye) for eye in eyes]
    if any(pupil is None for pupil in pupils):
        pupils = [(float(x), float(y)) for x, y in (eye.mean(axis=0) for eye in eyes)]
    return np.array([*pupils, points[_NOSE], *points[list(_MOUTH)]], np.float64)


def _pupil(rgb: Image, eye: Points) -> tuple[float, float] | None:
    """Median of the dark pixels within the eye's outline [5, 2], the middle of its crop if there are none; None if the
    outline has no extent or leaves the picture. Dark is below Otsu's threshold of the equalized crop."""
    (left, top), (right, bottom) = eye.min(axis=0).astype(int), eye.max(axis=0).astype(int)
    if left < 0 or top < 0 or right > rgb.shape[1] or bottom > rgb.shape[0] or right <= left or bottom <= top:
        return None
    grey = cv2.cvtColor(rgb[top:bottom, left:right], cv2.COLOR_RGB2GRAY)
    even = cv2.equalizeHist(grey)
    _, dark = cv2.threshold(even, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    within = np.zeros_like(grey)
    cv2.fillConvexPoly(within, cv2.convexHull((eye - [left, top]).astype(np.int32)), 255)
    rows, columns = np.nonzero(cv2.bitwise_and(dark, within))
    if rows.size == 0:
        return (left + right) / 2, (top + bottom) / 2
    return left + float(np.median(columns)), top + float(np.median(rows))
