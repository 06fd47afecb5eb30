"""A network's tensors as values: each says what it is made of. All are [N, H, W, C] in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

Size = tuple[int, int]
"""Height and width."""


@dataclass(frozen=True)
class Extent:
    """Height and width, as they follow from those of the network's input: this one is those themselves."""

    def at(self, size: Size) -> Size:
        return size


@dataclass(frozen=True)
class Windowed(Extent):
    """What a convolution or a pool leaves of `of`. `pads` are top, left, bottom, right."""

    of: Extent
    kernel: Size
    strides: Size
    pads: tuple[int, int, int, int]
    dilations: Size = (1, 1)

    def at(self, size: Size) -> Size:
        before = self.of.at(size)
        after = [
            (before[i] + self.pads[i] + self.pads[i + 2] - self.dilations[i] * (self.kernel[i] - 1) - 1)
            // self.strides[i]
            + 1
            for i in range(2)
        ]
        return after[0], after[1]


@dataclass(frozen=True)
class Scaled(Extent):
    """ONNX's Resize by whole factors."""

    of: Extent
    scales: tuple[float, float]

    def at(self, size: Size) -> Size:
        height, width = self.of.at(size)
        return int(height * self.scales[0]), int(width * self.scales[1])


@dataclass(frozen=True, eq=False)
class Value:
    """One tensor, equal to itself alone. `dtype` is uint8, float16 or float32."""

    name: str
    dtype: np.dtype
    channels: int
    extent: Extent

    @property
    def sources(self) -> tuple[Value, ...]:
        """What it is made of."""
        return ()


@dataclass(frozen=True, eq=False)
class Input(Value):
    """What the caller gives. `planar`: as [N, C, H, W]."""

    planar: bool = False


@dataclass(frozen=True, eq=False)
class Convolution(Value):
    """`weight`: float16 [out, in / group, kh, kw]. `block`: each pixel of what is really computed is a block of so many
    by so many pixels of it, one after the other in its channels (network.py)."""

    source: Value
    weight: np.ndarray
    pads: tuple[int, int, int, int]
    strides: Size = (1, 1)
    dilations: Size = (1, 1)
    group: int = 1
    block: int = 1

    @property
    def sources(self) -> tuple[Value, ...]:
        return (self.source,)


Operand = Value | float | np.ndarray
"""A tensor of the same extent, a number, or float32 [C]: a number for each channel."""


@dataclass(frozen=True, eq=False)
class Pointwise(Value):
    """`function` (an ONNX operator) of `operands` at the same place; `parameters` are its attributes."""

    function: str
    operands: tuple[Operand, ...]
    parameters: tuple[float, ...] = ()

    @property
    def sources(self) -> tuple[Value, ...]:
        return tuple(one for one in self.operands if isinstance(one, Value))


@dataclass(frozen=True, eq=False)
class Resized(Value):
    """Bilinear. `mode` is ONNX's coordinate_transformation_mode."""

    source: Value
    mode: str

    @property
    def sources(self) -> tuple[Value, ...]:
        return (self.source,)


@dataclass(frozen=True, eq=False)
class MaxPooled(Value):
    """The largest of each 2x2 pixels, side by side."""

    source: Value

    @property
    def sources(self) -> tuple[Value, ...]:
        return (self.source,)


@dataclass(frozen=True, eq=False)
class Mean(Value):
    """Of those pixels of the 3x3 around each that exist."""

    source: Value

    @property
    def sources(self) -> tuple[Value, ...]:
        return (self.source,)


@dataclass(frozen=True, eq=False)
class Joined(Value):
    """`parts` one after the other along the channels."""

    parts: tuple[Value, ...]

    @property
    def sources(self) -> tuple[Value, ...]:
        return self.parts


STENCILS = (Resized, MaxPooled, Mean)
"""Values that read other pixels of their source than the one they stand at."""


@dataclass(frozen=True)
class Network:
    """`values` in an order in which each stands behind what it is made of.

    `outputs` are among them, by the tensors' names; those in `planar` go to the caller as [N, C, H, W].
    """

    values: tuple[Value, ...]
    inputs: tuple[Input, ...]
    outputs: dict[str, Value]
    planar: frozenset[str] = frozenset()
    users: dict[Value, list[Value]] = field(default_factory=dict)
    """What is made of each value; [] for one that is an output alone."""
