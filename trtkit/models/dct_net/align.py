"""A face onto the head network's canvas: the template of five points, the similarity that fits it, the warp."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.dct_net import HEAD_SIDE

Image = NDArray[np.uint8]
Affine = NDArray[np.float64]
"""[2, 3]: a point (x, y) goes to A·(x, y, 1)."""

_FACE_112 = np.array(
    [
        (39.29459953, 52.69630051),
        (74.53179932, 52.50139999),
        (57.02519989, 72.73660278),
        (42.54930115, 93.3655014),
        (71.72990036, 93.20410156),
    ]
)
"""Both eyes (the picture's left one first), tip of the nose, corners of the mouth of a face that fills 112x112."""

TEMPLATE = ((_FACE_112 - 56) * 0.75 + 56) * HEAD_SIDE / 112
"""The same five points on the head canvas, float64 [5, 2]: the face takes three quarters of it."""

_WHITE = (255, 255, 255)


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> Affine:
    """The rotation, scale and shift that take `source` [K, 2] closest to `target` [K, 2] by least squares.

    Four unknowns in u = a·x - b·y + c, v = b·x + a·y + d; no mirroring. Points that all coincide give scale 0.
    """
    x, y = source[:, 0], source[:, 1]
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    (a, b, c, d), *_ = np.linalg.lstsq(rows, np.concatenate([target[:, 0], target[:, 1]]), rcond=None)
    return np.array([[a, -b, c], [b, a, d]])


def placement(points: NDArray[np.float64]) -> Affine:
    """Head canvas → picture, for a face whose five points lie at `points` [5, 2] (x, y).

    Fitted in this direction and inverted where the other is wanted, as the official pipeline does: the fit from
    the picture to the canvas weighs the errors differently and lands several pixels away.
    """
    return similarity(TEMPLATE, points)


def corners(canvas_to_picture: Affine, shape: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of a picture of `shape` that the head canvas covers, with two pixels to spare."""
    square = (
        np.array([(0, 0, 1), (HEAD_SIDE, 0, 1), (0, HEAD_SIDE, 1), (HEAD_SIDE, HEAD_SIDE, 1)]) @ canvas_to_picture.T
    )
    low, high = np.floor(square.min(0)).astype(int) - 2, np.ceil(square.max(0)).astype(int) + 3
    low, high = np.clip(low, 0, shape[::-1]), np.clip(high, 0, shape[::-1])
    return slice(low[1], high[1]), slice(low[0], high[0])


def head_crop(rgb: Image, canvas_to_picture: Affine) -> Image:
    """The head on its canvas: uint8 [288, 288, 3] of the channels of `rgb`, white where the picture ends.

    A head that is shrunk to half or less is first shrunk by whole factors of area means: bilinear interpolation
    alone would skip pixels.
    """
    rows, columns = corners(canvas_to_picture, (rgb.shape[0], rgb.shape[1]))
    part = rgb[rows, columns]
    if part.size == 0:
        return np.full((HEAD_SIDE, HEAD_SIDE, 3), 255, np.uint8)
    to_part = canvas_to_picture - [[0, 0, columns.start], [0, 0, rows.start]]
    factor = int(np.hypot(*canvas_to_picture[:, 0]))
    if factor >= 2 and min(part.shape[:2]) >= factor:
        small = (part.shape[1] // factor, part.shape[0] // factor)
        scale = np.array([small[0] / part.shape[1], small[1] / part.shape[0]])
        part = np.asarray(cv2.resize(part, small, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        to_part = to_part * scale[:, None]
        to_part[:, 2] += 0.5 * scale - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    canvas = cv2.warpAffine(
        np.ascontiguousarray(part), to_part, (HEAD_SIDE, HEAD_SIDE), flags=flags, borderValue=_WHITE
    )
    return np.asarray(canvas, dtype=np.uint8)
