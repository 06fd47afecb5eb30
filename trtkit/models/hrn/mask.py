"""Which pixels of an aligned crop are the face's: the official graph's answer, where it was imported."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trtkit.models.hrn.coefficients import Floats
from trtkit.models.imported.chain import Chain
from trtkit.models.spec import SideGraph

GRAPH = SideGraph(
    name="segment_face",
    file_name="segment_face.pb",
    inputs=("input_image",),
    outputs=("output_alpha",),
    without="hair and hands over the face are taken for skin",
)
"""float32 [224, 224, 3] RGB 0..255 → [224, 224] in 0..255. Its inside is not documented, so it is imported."""

Masks = Callable[[NDArray[np.uint8]], Floats]
"""RGB crops uint8 [N, 224, 224, 3] → float32 [N, 224, 224] in 0..1, 1 where the face's skin is."""


def everything(crops: NDArray[np.uint8]) -> Floats:
    """Without the graph all of the crop counts as face."""
    return np.ones(crops.shape[:3], np.float32)


def by_graph(chain: Chain) -> Masks:
    """The imported graph; its networks take all crops at once."""

    def masks(crops: NDArray[np.uint8]) -> Floats:
        answers = chain.run([{f"{GRAPH.inputs[0]}:0": crop.astype(np.float32)} for crop in crops])
        alphas = [answer[f"{GRAPH.outputs[0]}:0"].reshape(crops.shape[1:3]) for answer in answers]
        return np.stack(alphas).astype(np.float32) / np.float32(255)

    return masks
