"""The source networks of an export: an official file → the torch module whose inputs and outputs the spec states."""

from __future__ import annotations

import itertools
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

_State = dict[str, Tensor]

_OF: dict[str, tuple[str, Callable[[int, _State], nn.Module]]] = {
    "net_recon": ("backbone.conv1.weight", lambda width, _: CoefficientNet(width)),
    "mid_net": ("model.1.weight", lambda width, _: ResidualGenerator(6, 3, width)),
    "high_net": ("model.1.weight", lambda width, _: ResidualGenerator(9, 1, width)),
    "de_retouch": ("inc.conv.conv.0.weight", lambda width, _: DeRetouchNet(width)),
    "retinaface": ("body.conv1.weight", lambda width, _: RetinaFace(width)),
    "landmarks106": ("block1.0.weight", lambda width, _: Landmarks106(width)),
    "s3fd": ("conv1_1.weight", lambda width, _: S3FD(width)),
    "fan": ("conv1.weight", lambda width, state: FAN(_stacks(state), 4 * width)),
}
"""Network → its first convolution, whose outputs are its width, and the module of that width that holds a state."""


def load_source(network: str, weights: Path) -> nn.Module:
    """The module with the parameters of `weights` (the official file, or the snapshot's folder), in eval mode.

    Width and number of stacks are read off the file, so that narrow networks load as well. Raises Mistake naming the
    file and the first wrong tensor.
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


def _module(network: str, state: _State, path: Path) -> nn.Module:
    first, make = _OF[network]
    if first not in state or state[first].ndim != 4:
        name = next(iter(state))
        raise Mistake(
            f"--weights {path}: tensor '{first}' is missing, so this is not a checkpoint of hrn/{network} "
            f"(its first tensor is '{name}' {list(state[name].shape)})"
        )
    return make(state[first].shape[0], state)


def _stacks(state: _State) -> int:
    """FAN's hourglasses, as many as have their last layer; at least one, so that a missing tensor is named."""
    return max(1, next(stack for stack in itertools.count() if f"l{stack}.weight" not in state))
