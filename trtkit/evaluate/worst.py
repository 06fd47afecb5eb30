"""The sheet that shows where a precision does worst: input, every precision's output, the difference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trtkit.models.imaging.side_by_side import difference, sheet


def picture_of(name: str, image: np.ndarray, outputs: Mapping[str, np.ndarray], worst: str) -> np.ndarray:
    """uint8 [H', W', 3] RGB, as the others are, which have one shape. `outputs`: 'fp32' and the others; `worst` is the
    one whose difference is shown."""
    panels = [(name, image)]
    panels += [(precision.upper(), picture) for precision, picture in outputs.items()]
    apart = difference(outputs["fp32"], outputs[worst])
    panels.append((f"|FP32 - {worst.upper()}| x {apart.contrast}, at most {apart.worst}", apart.shown))
    return sheet(panels)
