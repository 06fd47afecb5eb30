"""The sizes DCT-Net works at: the short side of 720, and the padding to whole sixteens."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.dct_net import SHORT_SIDE

Image = NDArray[np.uint8]

_BLOCK = 16


def working_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) for `--mode fast`: the short side at most 720, the long one shrunk alike, rounded down."""
    height, width = size
    short, long = min(size), max(size)
    if short <= SHORT_SIDE:
        return size
    long = int(SHORT_SIDE * long / short)
    return (SHORT_SIDE, long) if height <= width else (long, SHORT_SIDE)


def shrink(rgb: Image, size: tuple[int, int]) -> Image:
    """`rgb` uint8 [H, W, 3] at `size` by area means; itself if it has that size."""
    if rgb.shape[:2] == size:
        return rgb
    return np.asarray(cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8)


def padded_size(size: tuple[int, int]) -> tuple[int, int]:
    """What the network sees of a picture of `size`: the same where both sides are multiples of 16, else both sides
    grow to the next multiple above, an aligned one by a whole 16 (the official rule)."""
    if size[0] % _BLOCK == 0 and size[1] % _BLOCK == 0:
        return size
    return (size[0] // _BLOCK + 1) * _BLOCK, (size[1] // _BLOCK + 1) * _BLOCK


def read_bgr(rgb: Image, top: int, left: int, shape: tuple[int, int]) -> Image:
    """The window of `shape` at (`top`, `left`) of the padded picture, uint8 [h, w, 3] BGR: past the picture's right and
    bottom edge the last column and row go on.

    The official pipeline fills with white, around which the networks draw: beside what they make of a picture that
    goes on, its outer 8 pixels are off by 12 to 20 grey levels in the mean with trained weights, and by 4 to 7 so.
    The padded picture itself is never made: at 48 megapixels it would be another 144 MB.
    """
    height, width = rgb.shape[:2]
    seen = rgb[min(top, height - 1) : top + shape[0], min(left, width - 1) : left + shape[1]]
    rest = shape[0] - seen.shape[0], shape[1] - seen.shape[1]
    bgr = np.ascontiguousarray(seen[..., ::-1])
    if not any(rest):
        return bgr
    return np.asarray(cv2.copyMakeBorder(bgr, 0, rest[0], 0, rest[1], cv2.BORDER_REPLICATE), np.uint8)
