"""Random weights that depend on a tensor's name and shape alone, so that two processes fill two classes alike.

Imported by the tests and, by path, in the environment where upstream is installed: torch and the standard library only.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import torch
from torch import Tensor


def random_state(shapes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict like `shapes`, every tensor random (heads that start at zero, too) and activations kept near 1."""
    return {name: _fill(name, like) for name, like in shapes.items()}


def random_input(name: str, shape: tuple[int, ...], low: float, high: float) -> Tensor:
    return torch.rand(shape, generator=_generator(name)) * (high - low) + low


def _generator(name: str) -> torch.Generator:
    return torch.Generator().manual_seed(zlib.crc32(name.encode()))


def _fill(name: str, like: Tensor) -> Tensor:
    if not like.is_floating_point():
        return torch.ones_like(like)
    generator = _generator(name)
    leaf = name.rpartition(".")[2]
    if like.ndim >= 2:
        fan_in = like[0].numel()
        return torch.randn(like.shape, generator=generator) * (1.6 / fan_in) ** 0.5
    noise = torch.rand(like.shape, generator=generator)
    if leaf == "running_var":
        return 0.8 + 0.6 * noise
    if leaf == "weight":
        # Norms and PReLU slopes; under 1, or forty residual blocks grow without bound.
        return 0.2 + 0.4 * noise
    return 0.2 * noise - 0.1
