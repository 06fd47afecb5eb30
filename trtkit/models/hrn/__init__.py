"""3D Face HRN (hierarchical representation network, Lei et al., CVPR 2023): a portrait in, a textured face mesh out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtkit.models.hrn import specs
from trtkit.models.hrn.checkpoint import file_of
from trtkit.models.hrn.mask import GRAPH
from trtkit.models.hrn.options import NEEDED, Options
from trtkit.models.hrn.progress import STAGES
from trtkit.models.served import ServedOption, Useful
from trtkit.models.spec import Around, Model, take_options
from trtkit.models.studied import Studied, Study

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray
    from torch import nn

    from trtkit.models.pipeline import Pipeline
    from trtkit.runtime.backend import Backend

LONGEST = 2000
"""A picture with a longer side is shrunk before it is worked on, to less than this."""


def _load_source(network: str, weights: Path) -> nn.Module:
    from trtkit.models.hrn.networks.source import load_source

    return load_source(network, weights)


def _sample_inputs(network: str, photographs: list[np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
    from trtkit.models.hrn.samples import sample_inputs

    return sample_inputs(network, photographs, size)


def _open_around(
    networks: Mapping[str, Backend], options: Mapping[str, Any], limit_megapixels: float, around: Around
) -> Pipeline:
    from trtkit.models.hrn.opening import open_pipeline

    return open_pipeline(networks, options, limit_megapixels, around)


def _open_pipeline(networks: Mapping[str, Backend], options: Mapping[str, Any], limit_megapixels: float) -> Pipeline:
    """On the networks in the package, with the face model that they belong to."""
    return _open_around(networks, options, limit_megapixels, Around())


def _needed(options: Mapping[str, Any], names: tuple[str, ...]) -> tuple[str, ...]:
    """The networks of --output, and those of the mask wherever there is a texture."""
    output = take_options(Options, options, "hrn").output
    own = {spec.name for spec in NEEDED[output]}
    return tuple(name for name in names if name in own or (name.startswith(f"{GRAPH.name}_") and output != "coeffs"))


def _study(networks: Mapping[str, Backend], around: Around) -> Study:
    from trtkit.models.hrn.study import open_study

    return open_study(networks, around)


def _fingerprint(around: Around) -> bytes:
    from trtkit.models.hrn.study import fingerprint

    return fingerprint(around)


def _draw(dice: Generator, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from trtkit.models.hrn.study import draw

    return draw(dice, picture)


MODEL = Model(
    name="hrn",
    title="3D face",
    networks=specs.NETWORKS,
    load_source=_load_source,
    sample_inputs=_sample_inputs,
    embedded_dir=Path(__file__).parent / "embedded",
    official_id="iic/cv_resnet50_face-reconstruction",
    result_tag="face",
    open_pipeline=_open_pipeline,
    open_around=_open_around,
    needed=_needed,
    sides=(GRAPH,),
    several_files=True,
    stages=STAGES,
    studied={
        specs.RECON.name: Studied(
            before=tuple(spec.name for spec in (specs.RETINAFACE, specs.LANDMARKS, specs.S3FD, specs.FAN)),
            open=_study,
            fingerprint=_fingerprint,
            draw=_draw,
            figure="vertices_percent",
            unit="% of the face's width",
            sought="a face that can be aligned",
        )
    },
    find_weights=file_of,
    useful=Useful("long", LONGEST),
    takes_weights="a folder such as the official snapshot, with pytorch_model.pt and the other networks' files",
    served=(
        ServedOption(
            "output",
            "choice",
            "coeffs: the 257 numbers; uv: the texture; mesh: mesh, texture and preview; all: these and the maps.",
            "mesh",
            choices=tuple(NEEDED),
        ),
        ServedOption("all_faces", "yes-no", "Every face of the picture, not only the surest.", False),
    ),
)
