"""TensorFlow's CropAndResize on the host, in its own order of float32 operations.

At the rim of a picture its answer hangs on the last bit: a sample a rounding error outside is the fill value. ONNX has
an operator of that kind, which rounds elsewhere, so that whole rows and columns would differ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def crop_and_resize(
    image: NDArray, boxes: Floats, owners: NDArray, size: tuple[int, int], method: str = "bilinear", fill: float = 0.0
) -> Floats:
    """`image` [N, H, W, C], `boxes` float32 [K, 4] (y1, x1, y2, x2, shares of the picture, 1 its last pixel), `owners`
    [K] which of the N each is of → float32 [K, h, w, C]; `fill` outside, and for an owner that is not there."""
    crops = np.full((len(boxes), *size, image.shape[3]), fill, np.float32)
    for crop, (y1, x1, y2, x2), owner in zip(crops, np.asarray(boxes, np.float32), owners, strict=True):
        if not 0 <= owner < len(image):
            continue
        rows, inside_rows = _samples(y1, y2, image.shape[1], size[0])
        columns, inside_columns = _samples(x1, x2, image.shape[2], size[1])
        if inside_rows.any() and inside_columns.any():
            values = _take(image[owner], rows[inside_rows], columns[inside_columns], method)
            crop[np.ix_(inside_rows, inside_columns)] = values
    return crops


def _samples(low: np.float32, high: np.float32, extent: int, count: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Where along an axis the samples lie, in pixels, and which of them are within the picture."""
    last = np.float32(extent - 1)
    if count > 1:
        step = np.float32(np.float32(np.float32(high - low) * last) / np.float32(count - 1))
        places = np.float32(low * last) + np.arange(count, dtype=np.float32) * step
    else:
        places = np.array([np.float32(np.float32(0.5) * np.float32(low + high)) * last], np.float32)
    return places, (places >= 0) & (places <= last)


def _take(image: NDArray, rows: Floats, columns: Floats, method: str) -> Floats:
    if method == "nearest":
        # Halves away from zero; places are never negative here.
        taken = image[np.floor(rows + np.float32(0.5)).astype(np.intp)]
        return np.asarray(taken[:, np.floor(columns + np.float32(0.5)).astype(np.intp)], np.float32)
    top, bottom = np.floor(rows).astype(np.intp), np.ceil(rows).astype(np.intp)
    left, right = np.floor(columns).astype(np.intp), np.ceil(columns).astype(np.intp)
    down = (rows - top.astype(np.float32))[:, None, None]
    along = (columns - left.astype(np.float32))[None, :, None]
    upper, lower = image[top].astype(np.float32), image[bottom].astype(np.float32)
    upper = upper[:, left] + (upper[:, right] - upper[:, left]) * along
    lower = lower[:, left] + (lower[:, right] - lower[:, left]) * along
    return np.asarray(upper + (lower - upper) * down, np.float32)
