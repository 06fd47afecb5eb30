"""Batch norms taken into the convolutions before them, so that an export's weights are as short as what ships.

The norms stay under their official names and do nothing: in half precision, an exporter that takes them into the
convolutions finds the very numbers that are there, and may store them in half again.
"""

from __future__ import annotations

import torch
from torch import Tensor

_EPSILON = 1e-5
_DEVIATION = 32.0
"""Of a norm that does nothing: beside its square, _EPSILON is nothing in single precision either."""


def fold(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same network's tensors for inference. For states whose every norm follows a convolution without a bias,
    `bnN` its `convN` or the second of two in a row its first: net_recon's and RetinaFace's."""
    out = dict(state)
    for name in state:
        norm, _, last = name.rpartition(".")
        if last != "running_var":
            continue
        parent, _, own = norm.rpartition(".")
        convolution = f"{parent}.{'0' if own == '1' else own.replace('bn', 'conv')}.weight"
        scale = state[f"{norm}.weight"] / (state[name] + _EPSILON).sqrt()
        out[convolution] = state[convolution] * scale[:, None, None, None]
        out[f"{norm}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
        out[f"{norm}.weight"] = torch.full_like(scale, _DEVIATION)
        out[f"{norm}.running_mean"] = torch.zeros_like(scale)
        out[name] = torch.full_like(scale, _DEVIATION**2)
    return out
