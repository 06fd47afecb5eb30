"""From landmarks to the crops the networks see: five points, their box, and the pose of a standard face in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trtkit.models.hrn.coefficients import Floats

Pixels = NDArray[np.uint8]

FIVE_OF_106 = (74, 83, 54, 84, 90)
"""Left eye, right eye, nose, left and right corner of the mouth, as the picture shows them, among the 106."""
_SIZE_AT_224 = 102.0


def five_of_68(points: Floats) -> Floats:
    """[68, k] → [5, k]: the same five, an eye being the mean of its two corners."""
    left, right = (points[36] + points[39]) / 2, (points[42] + points[45]) / 2
    return np.stack([left, right, points[30], points[48], points[54]])


@dataclass(frozen=True)
class BoxRegressor:
    """A layer of tanh and a linear one, float64: `w1` [K, 10], `b1` [K], `w2` [3, K], `b2` [3]."""

    w1: np.ndarray
    b1: np.ndarray
    w2: np.ndarray
    b2: np.ndarray

    @classmethod
    def of(cls, params: Mapping[str, np.ndarray]) -> BoxRegressor:
        """From the arrays W1, B1, W2, B2 of the official file."""
        return cls(params["W1"], params["B1"].reshape(-1), params["W2"], params["B2"].reshape(-1))


def box_of(five: Floats, regressor: BoxRegressor) -> tuple[int, int, int]:
    """Five points [5, 2] → (x, y, side) of the square the 68 landmarks are looked for in, whole pixels."""
    centre = five.mean(axis=0)
    spread = five - centre
    size = np.sqrt((spread**2).sum() / 5)
    hidden = np.tanh(regressor.w1 @ (spread / size).reshape(10) + regressor.b1)
    x, y, scale = regressor.w2 @ hidden + regressor.b2
    found = np.round([x * size + centre[0], y * size + centre[1], 224 / scale * size])
    return int(found[0]), int(found[1]), int(found[2])


def square(image: Pixels, x: int, y: int, side: int, target: int = 224) -> Pixels:
    """The square of `image` [H, W, 3] with its corner at (x, y), black outside, resized to `target` by bicubic."""
    out = np.zeros((side, side, image.shape[2]), np.uint8)
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + side, image.shape[0]), min(x + side, image.shape[1])
    if bottom > top and right > left:
        out[top - y : bottom - y, left - x : right - x] = image[top:bottom, left:right]
    return np.asarray(cv2.resize(out, (target, target), interpolation=cv2.INTER_CUBIC), np.uint8)


@dataclass(frozen=True)
class Frame:
    """An aligned crop's place in its picture: `scale` from picture to crop, `left` and `top` of the crop in the scaled
    picture, whose size is (`height`, `width`)."""

    scale: float
    left: int
    top: int
    height: int
    width: int
    side: int

    def to_picture(self, points: Floats) -> Floats:
        """[..., 2], x and y downward in the crop → in the picture."""
        return np.asarray((points + np.array([self.left, self.top])) / self.scale, np.float32)


def pose(points: Floats, standard: Floats) -> tuple[float, float, float]:
    """Weak-perspective pose by least squares: points [K, 2] (y upward) of a standard face [K, 3] → (tx, ty, scale).

    Each picture axis is a row R·X + t of its own; the scale is the mean length of the two rows R.
    """
    lifted = np.concatenate([standard, np.ones((len(standard), 1))], axis=1)
    solution = np.linalg.lstsq(lifted.astype(np.float64), points.astype(np.float64), rcond=None)[0]
    scale = float((np.linalg.norm(solution[:3, 0]) + np.linalg.norm(solution[:3, 1])) / 2)
    return float(solution[3, 0]), float(solution[3, 1]), scale


def frame_of(five: Floats, standard: Floats, size: tuple[int, int], side: int) -> Frame:
    """Five points [5, 2] (y downward) in a picture of (height, width) → the crop of `side` that holds the face upright
    as it is, as large as the standard face [5, 3] at 102 pixels a unit of 224."""
    height, width = size
    # One pixel is off the mirror of a picture (H − 1 − y), as the official code has it.
    upward = np.stack([five[:, 0], height - 1 - five[:, 1]], axis=1)
    tx, ty, found = pose(upward, standard)
    scale = _SIZE_AT_224 * side / 224.0 / found
    w, h = int(width * scale), int(height * scale)
    left = int(w / 2 - side / 2 + (tx - width / 2) * scale)
    top = int(h / 2 - side / 2 + (height / 2 - ty) * scale)
    return Frame(scale, left, top, h, w, side)


def cut(image: Pixels, frame: Frame) -> Pixels:
    """uint8 [side, side, 3] RGB: the picture scaled by bicubic, then cropped; black outside.

    Only what the crop shows is scaled: around a face of 20 pixels the whole picture would become gigabytes.
    """
    left, right = max(frame.left, 0), min(frame.left + frame.side, frame.width)
    top, bottom = max(frame.top, 0), min(frame.top + frame.side, frame.height)
    out = np.zeros((frame.side, frame.side, 3), np.uint8)
    if right <= left or bottom <= top:
        return out
    across, down = image.shape[1] / frame.width, image.shape[0] / frame.height
    box = (left * across, top * down, min(right * across, image.shape[1]), min(bottom * down, image.shape[0]))
    scaled = Image.fromarray(image).resize((right - left, bottom - top), Image.Resampling.BICUBIC, box)
    out[top - frame.top : bottom - frame.top, left - frame.left : right - frame.left] = np.asarray(scaled)
    return out
