"""The source networks of an export: an official file → the torch module whose inputs and outputs the spec states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn

from trtkit.errors import Mistake
from trtkit.models.hrn import checkpoint
from trtkit.models.hrn.networks.deretouch import DeRetouchNet
from trtkit.models.hrn.networks.fan import FAN
from trtkit.models.hrn.networks.landmarks106 import Landmarks106
from trtkit.models.hrn.networks.pix2pix import Offsets, ResidualGenerator
from trtkit.models.hrn.networks.recon import CoefficientNet, ImageCoefficients
from trtkit.models.hrn.networks.retinaface import RetinaFace
from trtkit.models.hrn.networks.s3fd import S3FD
from trtkit.models.weights import load_strict

_WIDTH_OF: dict[str, tuple[str, Callable[[int], nn.Module]]] = {
    "net_recon": ("backbone.conv1.weight", CoefficientNet),
    "mid_net": ("model.1.weight", lambda width: ResidualGenerator(6, 3, width)),
    "high_net": ("model.1.weight", lambda width: ResidualGenerator(9, 1, width)),
    "de_retouch": ("inc.conv.conv.0.weight", DeRetouchNet),
    "retinaface": ("body.conv1.weight", RetinaFace),
    "landmarks106": ("block1.0.weight", Landmarks106),
    "s3fd": ("conv1_1.weight", S3FD),
    "fan": ("conv1.weight", lambda width: FAN(channels=4 * width)),
}
"""Network → its first convolution, whose outputs are its width, and the module of that width."""


def load_source(network: str, weights: Path) -> nn.Module:
    """The module with the parameters of `weights` (the official file, or the snapshot's folder), in eval mode.

    The width is read off the file, so that narrow networks load as well. Raises Mistake naming the file and the first
    wrong tensor.
    """
    path = checkpoint.file_of(network, weights) if weights.is_dir() else weights
    state, gain = checkpoint.read(network, path)
    module = _module(network, state, path)
    load_strict(module, state, path)
    if isinstance(module, CoefficientNet):
        return ImageCoefficients(module).eval()
    if isinstance(module, ResidualGenerator):
        return Offsets(module, gain).eval()
    return module.eval()


def _module(network: str, state: dict[str, Tensor], path: Path) -> nn.Module:
    first, make = _WIDTH_OF[network]
    if first not in state or state[first].ndim != 4:
        name = next(iter(state))
        raise Mistake(
            f"--weights {path}: tensor '{first}' is missing, so this is not a checkpoint of hrn/{network} "
            f"(its first tensor is '{name}' {list(state[name].shape)})"
        )
    return make(state[first].shape[0])
