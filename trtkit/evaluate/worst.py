"""The sheet that shows where a precision does worst: input, every precision's output, the difference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trtkit.models.imaging.side_by_side import difference, sheet
from trtkit.models.spec import TensorSpec


def picture_of(
    name: str,
    source: TensorSpec,
    image: np.ndarray,
    output: TensorSpec,
    outputs: Mapping[str, np.ndarray],
    worst: str,
) -> np.ndarray:
    """uint8 [H', W', 3] RGB. `outputs`: 'fp32' and the others, uint8 [H, W, C] as `output` states; `worst` is the one
    whose difference is shown."""
    panels = [(name, _rgb(source, image))]
    panels += [(precision.upper(), _rgb(output, array)) for precision, array in outputs.items()]
    apart = difference(_rgb(output, outputs["fp32"]), _rgb(output, outputs[worst]))
    panels.append((f"|FP32 - {worst.upper()}| x {apart.contrast}, at most {apart.worst}", apart.shown))
    return sheet(panels)


def _rgb(tensor: TensorSpec, array: np.ndarray) -> np.ndarray:
    if tensor.channels == "alpha":
        return np.repeat(array, 3, axis=-1)
    return np.ascontiguousarray(array[..., ::-1] if tensor.channels == "BGR" else array)
