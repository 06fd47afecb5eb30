"""How far from a pixel the generator and its guided filter look, from the list of their layers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

STRIDE = 4
"""Down to a quarter and up again: what the network does repeats every four pixels, counted from its first."""


@dataclass(frozen=True)
class Layer:
    """A layer that mixes neighbours. 'conv' and 'down' are convolutions of `kernel` taps at stride 1 and 2, 'up'
    doubles by the bilinear rule out[2i] = in[i], out[2i+1] = (in[i] + in[i+1]) / 2."""

    kind: Literal["conv", "down", "up"]
    kernel: int = 0


LAYERS = (
    Layer("conv", 7),  # Conv
    Layer("down", 3),  # Conv_1: one pixel of padding, below and to the right
    Layer("conv", 3),  # Conv_2
    Layer("down", 3),  # Conv_3
    Layer("conv", 3),  # Conv_4
    *(Layer("conv", 3) for _ in range(8)),  # block_0 .. block_3
    Layer("conv", 3),  # Conv_5
    Layer("up"),
    Layer("conv", 3),  # Conv_6
    Layer("conv", 3),  # Conv_7
    Layer("up"),
    Layer("conv", 3),  # Conv_8
    Layer("conv", 7),  # Conv_9
    Layer("conv", 3),  # guided filter: means and (co)variances
    Layer("conv", 3),  # guided filter: means of the two coefficients
)
"""The longest way from input to output, in order; the skips leave it and come back, so they reach less far."""


def reach(layers: tuple[Layer, ...] = LAYERS) -> tuple[int, int]:
    """(pixels before, pixels after) that an aligned block of output can depend on, along either axis."""
    first, last = 0, STRIDE - 1
    for layer in reversed(layers):
        if layer.kind == "conv":
            first, last = first - layer.kernel // 2, last + layer.kernel // 2
        elif layer.kind == "down":
            first, last = 2 * first, 2 * last + layer.kernel - 1
        else:
            first, last = first // 2, (last + 1) // 2
    return -first, last - (STRIDE - 1)


def overlap() -> int:
    """The width of the rim to throw away on each inner side of a tile: `reach`, rounded up to whole blocks."""
    return STRIDE * math.ceil(max(reach()) / STRIDE)
