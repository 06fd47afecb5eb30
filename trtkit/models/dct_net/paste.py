"""The cartoon head back into the picture, through a soft mask."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trtkit.models.dct_net import HEAD_SIDE
from trtkit.models.dct_net.align import Affine, corners
from trtkit.models.imaging.decode import decode

Image = NDArray[np.uint8]
Mask = NDArray[np.float32]
"""[288, 288], 0..1: the share of the head network's answer in the result."""

_BAND = 256
"""Rows pasted at a time: a head as large as the picture takes no more memory than a small one."""

_CENTRE = (0.5, 0.5)
_RADII = (0.40, 0.46)
_SOFT = 0.35
"""In shares of the canvas: an ellipse over hair, face and chin; the outer 35 % of each radius fade to nothing."""


@cache
def soft_ellipse() -> Mask:
    """The mask where the official `alpha.jpg` is not given: 1 over the face, a smooth fall, 0 at the canvas's rim."""
    side = (np.arange(HEAD_SIDE, dtype=np.float32) + 0.5) / HEAD_SIDE
    across, down = (side - _CENTRE[0]) / _RADII[0], (side - _CENTRE[1]) / _RADII[1]
    distance = np.hypot(across[None, :], down[:, None])
    t = np.clip((1 - distance) / _SOFT, 0, 1)
    mask: Mask = (t * t * (3 - 2 * t)).astype(np.float32)
    mask.setflags(write=False)
    return mask


def read_mask(path: Path) -> Mask:
    """A mask from a picture such as the official `alpha.jpg`: shrunk by area to the canvas, grey, white is head.

    Raises Mistake, naming the file, if it is not a picture.
    """
    rgb = cv2.resize(decode(path).rgb, (HEAD_SIDE, HEAD_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.float32) / np.float32(255)


def paste(into: Image, head: Image, mask: Mask, canvas_to_picture: Affine) -> None:
    """Blend `head` uint8 [288, 288, 3] into `into` uint8 [H, W, C≥3], in place: m·head + (1 - m)·picture.

    Rounded at every head, where the official pipeline carries fractions to the end: half a grey level at most.
    """
    rows, columns = corners(canvas_to_picture, (into.shape[0], into.shape[1]))
    width = columns.stop - columns.start
    if width <= 0:
        return
    for top in range(rows.start, rows.stop, _BAND):
        height = min(_BAND, rows.stop - top)
        to_band = canvas_to_picture - [[0, 0, columns.start], [0, 0, top]]
        share = cv2.warpAffine(mask, to_band, (width, height), flags=cv2.INTER_LINEAR)[..., None]
        if not share.any():
            continue
        placed = cv2.warpAffine(head, to_band, (width, height), flags=cv2.INTER_LINEAR)
        target = into[top : top + height, columns, :3]
        target[:] = np.rint(share * placed + (1 - share) * target)
