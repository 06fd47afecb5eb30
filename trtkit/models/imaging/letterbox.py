"""A picture of any size onto the fixed canvas of a network, and the network's map back off it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Fill = Literal["edge"] | tuple[int, int, int]
"""'edge' repeats the outermost pixels of the picture; a triple is one RGB colour, 0..255."""


@dataclass(frozen=True)
class Placement:
    """Where on a canvas the picture lies: `canvas` is (h, w), the rest is its rectangle in canvas pixels."""

    canvas: tuple[int, int]
    top: int
    left: int
    height: int
    width: int

    def crop(self, canvas_map: NDArray) -> NDArray:
        """The part of `canvas_map` ([h, w] or [h, w, C], of canvas size, any dtype) that shows the picture.

        A view, not a copy. Raises ValueError for a map of another size: that is a bug of the caller.
        """
        if canvas_map.shape[:2] != self.canvas:
            raise ValueError(f"map of {canvas_map.shape[:2]} does not lie on a canvas of {self.canvas}")
        return canvas_map[self.top : self.top + self.height, self.left : self.left + self.width]


def content_size(size: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """(height, width) that a picture of `size` gets on `canvas`, its aspect kept; never below 1.

    Also what `decode(at_least=...)` wants to hear before a letterbox.
    """
    scale = min(canvas[0] / size[0], canvas[1] / size[1])
    return (
        min(canvas[0], max(1, round(size[0] * scale))),
        min(canvas[1], max(1, round(size[1] * scale))),
    )


def resize(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """`image` uint8 [h, w] or [h, w, C] at `size` (height, width): area mean to shrink, cubic to enlarge."""
    if image.shape[:2] == size:
        return image
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    out = np.empty((*size, *image.shape[2:]), np.uint8)
    cv2.resize(image, size[::-1], dst=out, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return out


def letterbox(
    rgb: NDArray[np.uint8], canvas: tuple[int, int], fill: Fill = "edge"
) -> tuple[NDArray[np.uint8], Placement]:
    """`rgb` uint8 [H, W, 3] centred on a canvas uint8 [h, w, 3], aspect kept, and where it lies there.

    The edge fill is the default because a constant border is an edge that no photograph has, and a network
    trained on whole photographs answers to it.
    """
    height, width = content_size((rgb.shape[0], rgb.shape[1]), canvas)
    top, left = (canvas[0] - height) // 2, (canvas[1] - width) // 2
    small = resize(rgb, (height, width))
    borders = (top, canvas[0] - height - top, left, canvas[1] - width - left)
    boxed = np.empty((*canvas, 3), np.uint8)
    if fill == "edge":
        cv2.copyMakeBorder(small, *borders, cv2.BORDER_REPLICATE, dst=boxed)
    else:
        cv2.copyMakeBorder(small, *borders, cv2.BORDER_CONSTANT, dst=boxed, value=fill)
    return boxed, Placement(canvas, top, left, height, width)
