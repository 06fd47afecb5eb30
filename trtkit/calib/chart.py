"""A bar chart of what layers cost, drawn with OpenCV: a PNG needs no plotting library."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from trtkit.calib.sensitivity import LayerCost

_ROW, _TEXT, _BARS, _MARGIN = 24, 420, 560, 20
_INK, _KEPT, _BAR = (40, 40, 40), (60, 60, 200), (190, 130, 60)  # BGR
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def bar_chart(title: str, costs: Sequence[LayerCost], kept: Sequence[str], unit: str) -> bytes:
    """PNG bytes: a bar a layer, dearest on top, the ones that stay FP16 in red."""
    height = _ROW * (len(costs) + 3) + 2 * _MARGIN
    picture = np.full((height, _TEXT + _BARS + 120, 3), 255, np.uint8)

    def write(text: str, x: int, row: float, scale: float = 0.45) -> None:
        y = int(_MARGIN + _ROW * (row + 0.7))
        cv2.putText(picture, text, (x, y), _FONT, scale, _INK, 1, cv2.LINE_AA)

    write(title, _MARGIN, 0, 0.55)
    write(f"mean change of the output, {unit}, when this layer alone is INT8; red: stays FP16", _MARGIN, 1)
    longest = max((cost.cost for cost in costs), default=0.0) or 1.0
    for row, cost in enumerate(costs, start=2):
        top = _MARGIN + _ROW * row
        end = _TEXT + round(_BARS * cost.cost / longest)
        colour = _KEPT if cost.name in kept else _BAR
        cv2.rectangle(picture, (_TEXT, top + 4), (max(end, _TEXT + 1), top + _ROW - 4), colour, -1)
        write(cost.name, _MARGIN, row)
        write(f"{cost.cost:.4f}", end + 8, row)
    return bytes(cv2.imencode(".png", picture)[1].tobytes())
