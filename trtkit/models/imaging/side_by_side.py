"""Two pictures and their difference on one sheet, each under its label."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

Image = NDArray[np.uint8]

_LEAST_PANEL = 240
"""Smaller pictures are shown with every pixel as a square."""
_GAP = 8
_PAPER, _INK = 255, (32, 32, 32)


@dataclass(frozen=True)
class Difference:
    """`shown` uint8 [H, W, 3]: the absolute difference times `contrast`; `worst`: the largest one in grey levels."""

    shown: Image
    contrast: int
    worst: int


def difference(a: Image, b: Image) -> Difference:
    """Of two uint8 [H, W, 3] of one shape; the contrast is the largest power of two that clips nothing."""
    apart = np.asarray(cv2.absdiff(a, b), dtype=np.uint8)
    worst = int(apart.max())
    contrast = 2 ** int(np.log2(255 // worst)) if worst else 1
    return Difference(np.asarray(apart * np.uint8(contrast), dtype=np.uint8), contrast, worst)


def sheet(panels: list[tuple[str, Image]]) -> Image:
    """The panels (label, uint8 [H, W, 3] RGB, all of one shape) beside one another under their labels, uint8 RGB."""
    height, width = panels[0][1].shape[:2]
    factor = max(1, -(-_LEAST_PANEL // width))
    height, width = height * factor, width * factor
    size = max(14, min(width // 24, 96))
    font, strip = ImageFont.load_default(size), 2 * size
    out = np.full((strip + height, len(panels) * (width + _GAP) - _GAP, 3), _PAPER, np.uint8)
    for number, (label, picture) in enumerate(panels):
        left = number * (width + _GAP)
        head = Pillow.new("RGB", (width, strip), (_PAPER,) * 3)
        ImageDraw.Draw(head).text((0, size // 3), _fitting(label, font, width), _INK, font)
        out[:strip, left : left + width] = np.asarray(head)
        shown = cv2.resize(picture, (width, height), interpolation=cv2.INTER_NEAREST) if factor > 1 else picture
        out[strip:, left : left + width] = shown
    return out


def _fitting(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """`label`, its middle left out if it is too long for `width` pixels."""
    cut, keep = label, len(label)
    while font.getlength(cut) > width and keep > 4:
        keep -= 1
        cut = f"{label[: keep // 2]}…{label[len(label) - keep // 2 :]}"
    return cut
