"""cv_unet portrait matting: a picture of people in, their alpha out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trtkit.models.served import ServedOption, Useful
from trtkit.models.spec import FrozenGraph, Model, NetworkSpec, TensorSpec, take_options

if TYPE_CHECKING:
    from torch import nn

    from trtkit.models.pipeline import Pipeline
    from trtkit.runtime.backend import Backend

MATTING = NetworkSpec(
    name="matting",
    inputs=(TensorSpec("image", "uint8", ("N", "H", "W", 3), (0, 255), "RGB"),),
    outputs=(TensorSpec("alpha", "uint8", ("N", "H", "W", 1), (0, 255), "alpha"),),
    keep_fp32={
        "from_uint8": "uint8 to -1..1 in half precision loses up to a quarter of a grey level",
        "to_uint8": "0..255 in half precision has steps of an eighth of a grey level",
    },
    smallest=64,
)

CANVAS = 512
"""Side of the square the pipeline letterboxes to unless --size says otherwise; the engines' optimum."""


def _load_source(network: str, weights: Path) -> nn.Module:
    from trtkit.models.cv_unet.source import load_source

    return load_source(network, weights)


def sample_inputs(network: str, photographs: list[np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
    """RGB uint8 photographs of any size → one batch {'image': uint8 [N, h, w, 3]}, as the pipeline makes it."""
    from trtkit.models.imaging.letterbox import letterbox

    return {"image": np.stack([letterbox(photograph, size)[0] for photograph in photographs])}


def _open_pipeline(networks: Mapping[str, Backend], options: Mapping[str, Any], limit_megapixels: float) -> Pipeline:
    from trtkit.models.cv_unet.pipeline import CutOut, Options

    return CutOut(networks[MATTING.name], take_options(Options, options, "cv_unet"), limit_megapixels)


def _open_official(*arguments: Any) -> Pipeline:
    from trtkit.models.cv_unet.frozen import open_pipeline

    return open_pipeline(*arguments)


_BACKGROUND = ServedOption("background", "colour", "Put this colour behind the person; without it, transparency.")
_ALPHA_ONLY = ServedOption("alpha_only", "yes-no", "Answer with the matte itself, greyscale.", False)

MODEL = Model(
    name="cv_unet",
    title="portrait matting",
    networks=(MATTING,),
    load_source=_load_source,
    sample_inputs=sample_inputs,
    embedded_dir=Path(__file__).parent / "embedded",
    official_id="iic/cv_unet_image-matting",
    result_tag="cutout",
    open_pipeline=_open_pipeline,
    takes_weights="a checkpoint (.safetensors, .pth, .pt), or the official tf_graph.pb or a folder with it",
    frozen=FrozenGraph("tf_graph.pb", ("input_image",), ("output_png",), _open_official, (_BACKGROUND, _ALPHA_ONLY)),
    served=(
        ServedOption("size", "whole", "Side of the square the network sees.", CANVAS, least=256, most=1024),
        _BACKGROUND,
        _ALPHA_ONLY,
    ),
    opaque_with=("background", "alpha_only"),
    useful=Useful("long", "size", matte="alpha_only"),
)
