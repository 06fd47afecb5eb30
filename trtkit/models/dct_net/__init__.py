"""DCT-Net: a portrait in, its cartoon out. One network for the whole picture, one for each aligned head.

Both are the same generator with a guided filter behind it (network.py), on weights of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trtkit.models.dct_net.tiles import DEFAULT_MEMORY, largest_area
from trtkit.models.dct_net.weights import find_weights
from trtkit.models.served import ServedOption, Useful
from trtkit.models.spec import Around, Model, NetworkSpec, SideGraph, TensorSpec

if TYPE_CHECKING:
    from torch import nn

    from trtkit.models.pipeline import Pipeline
    from trtkit.runtime.backend import Backend

HEAD_SIDE = 288
"""Side of the square an aligned head is warped to: what the head network was trained at."""

SHORT_SIDE = 720
"""What `--mode fast` shrinks a larger picture's short side to, as the official pipeline does."""

_KEEP_FP32 = {
    "from_uint8": "uint8 to -1..1 in half precision loses up to a quarter of a grey level",
    "guided_filter": "variance and covariance are differences of near-equal numbers against an epsilon of 0.01",
    "to_uint8": "0..255 in half precision has steps of an eighth of a grey level",
}

BACKGROUND = NetworkSpec(
    name="background",
    inputs=(TensorSpec("image", "uint8", ("N", "H", "W", 3), (0, 255), "BGR"),),
    outputs=(TensorSpec("cartoon", "uint8", ("N", "H", "W", 3), (0, 254), "BGR"),),
    keep_fp32=_KEEP_FP32,
    smallest=16,
    multiple_of=4,
    pixels_at_once=largest_area(DEFAULT_MEMORY),
)

HEAD = NetworkSpec(
    name="head",
    inputs=(TensorSpec("image", "uint8", ("N", HEAD_SIDE, HEAD_SIDE, 3), (0, 255), "BGR"),),
    outputs=(TensorSpec("cartoon", "uint8", ("N", HEAD_SIDE, HEAD_SIDE, 3), (0, 254), "BGR"),),
    keep_fp32=_KEEP_FP32,
    smallest=HEAD_SIDE,
    multiple_of=HEAD_SIDE,
)

STYLES = ("anime", "3d", "handdrawn", "sketch", "artstyle", "sd-design", "sd-illustration")
"""The styles official weights exist for; artifacts of one lie in dct_net-STYLE."""


_WITHOUT = "faces are found by OpenCV's Haar cascade"

DETECTOR = SideGraph(
    name="detector",
    file_name="detector.pb",
    inputs=("tower_0/images", "training_flag=False"),
    outputs=("tower_0/boxes", "tower_0/scores", "tower_0/num_detections"),
    without=_WITHOUT,
    shape=(1, 512, 512, 3),
)
"""RGB 0..255 → boxes (y1, x1, y2, x2 in shares of the square), their scores 0..1, and how many of them count."""

KEYPOINTS = SideGraph(
    name="keypoints",
    file_name="keypoints.pb",
    inputs=("tower_0/images", "training_flag=False"),
    outputs=("tower_0/prediction",),
    without=_WITHOUT,
    shape=(1, 160, 160, 3),
)
"""RGB 0..255 around a face → 68 points (x, y in shares of the square), then figures that are not used."""

HEAD_MASK = "alpha.jpg"
"""The snapshot's mask for blending a head: white is head."""


def _load_source(network: str, weights: Path) -> nn.Module:
    from trtkit.models.dct_net.source import load_source

    return load_source(network, weights)


def sample_inputs(network: str, photographs: list[np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """RGB uint8 photographs of any size → one batch {'image': uint8 [N, h, w, 3] BGR}, each filling its frame.

    Like the pipeline it resizes by area and flips RGB to BGR; what does not fit the frame's shape is cropped evenly.
    """
    return {"image": np.stack([_fill(photograph, size)[..., ::-1] for photograph in photographs])}


def _fill(photograph: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from trtkit.models.imaging.letterbox import resize

    height, width = size
    scale = max(height / photograph.shape[0], width / photograph.shape[1])
    covering = (max(height, round(photograph.shape[0] * scale)), max(width, round(photograph.shape[1] * scale)))
    resized = resize(photograph, covering)
    top, left = (resized.shape[0] - height) // 2, (resized.shape[1] - width) // 2
    return resized[top : top + height, left : left + width]


def _open_around(
    networks: Mapping[str, Backend], options: Mapping[str, Any], limit_megapixels: float, around: Around
) -> Pipeline:
    from trtkit.models.dct_net.pipeline import open_pipeline

    return open_pipeline(networks, options, limit_megapixels, around)


def _open_pipeline(networks: Mapping[str, Backend], options: Mapping[str, Any], limit_megapixels: float) -> Pipeline:
    return _open_around(networks, options, limit_megapixels, Around())


def _needed(options: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """All networks, or the model's own where no faces are looked for."""
    if not options.get("no_faces"):
        return names
    return tuple(name for name in names if name in (BACKGROUND.name, HEAD.name))


MODEL = Model(
    name="dct_net",
    title="portrait cartoon",
    networks=(BACKGROUND, HEAD),
    load_source=_load_source,
    sample_inputs=sample_inputs,
    embedded_dir=Path(__file__).parent / "embedded",
    official_id="iic/cv_unet_person-image-cartoon_compound-models",
    result_tag="cartoon",
    open_pipeline=_open_pipeline,
    open_around=_open_around,
    needed=_needed,
    sides=(DETECTOR, KEYPOINTS),
    side_files=(HEAD_MASK,),
    served=(
        ServedOption(
            "mode",
            "choice",
            "fast: work at a short side of at most 720; fine: at the picture's own size.",
            "fast",
            choices=("fast", "fine"),
        ),
        ServedOption("no_faces", "yes-no", "Do not draw heads by the head network.", False),
    ),
    useful=Useful("short", SHORT_SIDE, unless=(("mode", "fine"),)),
    find_weights=find_weights,
    takes_weights="a folder with cartoon_bg.pb and cartoon_h.pb",
    styles=STYLES,
    keeps_alpha=True,
)
