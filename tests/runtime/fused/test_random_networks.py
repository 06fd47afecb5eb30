"""Random small networks of the operators that kernels have words for: what is taken is computed right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from onnx import ModelProto

from trtkit.runtime.fused.network import Unfused

from . import networks
from .networks import BYTE, FLOAT, HALF, Builder, all_ran, all_references, program_of

pytestmark = pytest.mark.skipif(networks.gxx() is None, reason="needs g++ for the kernels")

_CHANNELS = (1, 2, 3, 4, 5, 8, 8, 16, 24)
_MODES = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")


@dataclass(frozen=True)
class Tensor:
    """`halvings`: how often it was halved and doubled again; those that are equal have one size."""

    name: str
    channels: int
    halvings: int = 0


class Dice:
    """Grows a network from a picture, channels first in or last, one operator after the other."""

    def __init__(self, seed: int) -> None:
        self.dice = np.random.default_rng(seed)
        self.b = Builder()
        self.planar = bool(self.dice.random() < 0.4)
        self.shapes = [
            (int(self.dice.integers(1, 4)), int(self.dice.integers(1, 6)) * 4, int(self.dice.integers(1, 6)) * 4)
            for _ in range(2)
        ]
        start = self.b.node("Cast", "image", to=HALF) if self.planar else self.b.normalised("image")
        if not self.planar:
            start = self.b.node("Cast", start, to=HALF)
        self.tensors = [self.convolved(Tensor(start, 3))]
        self.used: set[str] = set()

    def pick(self, halvings: int | None = None, channels: int | None = None) -> Tensor | None:
        """One of the latest that fit."""
        fitting = [one for one in self.tensors if halvings in (None, one.halvings) and channels in (None, one.channels)]
        if not fitting:
            return None
        found = fitting[-1 - min(int(self.dice.geometric(0.5)) - 1, len(fitting) - 1)]
        self.used.add(found.name)
        return found

    def convolved(self, source: Tensor) -> Tensor:
        """With an activation, since two convolutions in a row have nothing between them to fuse."""
        outputs, size = int(self.dice.choice(_CHANNELS)), int(self.dice.choice([1, 3, 3, 5]))
        group = 1
        if self.dice.random() < 0.2:
            outputs, group = source.channels, source.channels
        more = {"group": group}
        if size == 3 and self.dice.random() < 0.2:
            more |= {"dilations": [2, 2], "pads": [2] * 4}
        bias = bool(self.dice.random() < 0.7)
        made = self.b.conv(source.name, source.channels, outputs, size, bias=bias, **more)
        operator = str(self.dice.choice(["Relu", "LeakyRelu", "Sigmoid", "Tanh"]))
        return Tensor(self.b.node(operator, made), outputs, source.halvings)

    def step(self) -> None:
        """One more tensor; or none, where nothing fits."""
        b, one = self.b, self.pick()
        assert one is not None
        kind = str(
            self.dice.choice(["conv"] * 4 + ["with one", "with number", "channels", "half", "double", "join", "mean"])
        )
        made: Tensor | None = None
        if kind == "conv":
            made = self.convolved(one)
        elif kind == "with one" and (other := self.pick(one.halvings, one.channels)) is not None:
            operator = str(self.dice.choice(["Add", "Sub", "Mul", "Max", "Min"]))
            made = Tensor(b.node(operator, one.name, other.name), one.channels, one.halvings)
        elif kind == "with number":
            operator = str(self.dice.choice(["Add", "Mul", "Div", "Max"]))
            made = Tensor(b.node(operator, one.name, b.constant(0.75)), one.channels, one.halvings)
        elif kind == "channels":
            vector = b.constant(self.dice.uniform(0.5, 1, (one.channels, 1, 1)))
            made = Tensor(b.node("Mul", one.name, vector), one.channels, one.halvings)
        elif kind == "half" and one.halvings < 2:
            pooled = b.node("MaxPool", one.name, kernel_shape=[2, 2], strides=[2, 2])
            made = Tensor(pooled, one.channels, one.halvings + 1)
        elif kind == "double" and one.halvings > 0:
            scales, mode = b.constant([1, 1, 2, 2], np.float32), str(self.dice.choice(_MODES))
            resized = b.node("Resize", one.name, "", scales, mode="linear", coordinate_transformation_mode=mode)
            made = Tensor(resized, one.channels, one.halvings - 1)
        elif kind == "join" and (other := self.pick(one.halvings)) is not None and other != one:
            joined = Tensor(b.node("Concat", one.name, other.name, axis=1), one.channels + other.channels, one.halvings)
            made = self.convolved(joined)
        elif kind == "mean":
            mean = b.node("AveragePool", one.name, kernel_shape=[3, 3], pads=[1] * 4, strides=[1, 1])
            made = Tensor(mean, one.channels, one.halvings)
        if made is not None:
            self.tensors.append(made)

    def network(self) -> ModelProto:
        """Everything that nothing else used is an output, as float32."""
        for _ in range(int(self.dice.integers(3, 16))):
            self.step()
        outputs = []
        for one in [one for one in self.tensors if one.name not in self.used][-3:]:
            name = self.b.node("Cast", one.name, to=FLOAT)
            if not self.planar:
                name = self.b.node("Transpose", name, perm=[0, 2, 3, 1])
            outputs.append((name, FLOAT, [f"{name}{axis}" for axis in range(4)]))
        shape = ["N", 3, "H", "W"] if self.planar else ["N", "H", "W", 3]
        return self.b.model_of(("image", FLOAT if self.planar else BYTE, shape), outputs)

    def arrays(self) -> list[np.ndarray]:
        if self.planar:
            return [self.dice.normal(0, 1, (n, 3, h, w)).astype(np.float32) for n, h, w in self.shapes]
        return [self.dice.integers(0, 256, (n, h, w, 3), np.uint8) for n, h, w in self.shapes]


def test_what_is_fused_is_what_onnx_runtime_computes():
    fused = 0
    for seed in range(40):
        dice = Dice(seed)
        model, arrays = dice.network(), dice.arrays()
        try:
            program, _ = program_of(model, *(array.shape for array in arrays))
        except Unfused:
            continue
        fused += 1
        for array in (*arrays, arrays[0]):
            for found, expected in zip(all_ran(program, model, array), all_references(model, array), strict=True):
                scale = np.abs(expected).max(initial=1e-3)
                assert np.abs(found - expected).max(initial=0) <= 0.02 * scale, (seed, array.shape)
        program.free()
    assert fused > 25
