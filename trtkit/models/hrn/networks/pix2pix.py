"""The generator of mid_net and high_net: pix2pixHD's nine residual blocks on a quarter of the resolution.

Layer numbers (`model.N`) are the official parameter names; instance norm has no parameters here, and dropout between
the convolutions of a block, which does nothing at inference, keeps its number.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BLOCKS = 9


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.Identity(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv_block(x)
        return y


class ResidualGenerator(nn.Module):
    """float32 [N, inputs, H, W] → float32 [N, outputs, H, W] in -1..1; H and W multiples of 4.

    `width` is 64 in the official networks.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(inputs, width, 7),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
        ]
        for wide in (width, 2 * width):
            layers += [nn.Conv2d(wide, 2 * wide, 3, 2, 1), nn.InstanceNorm2d(2 * wide), nn.ReLU()]
        layers += [_Residual(4 * width) for _ in range(BLOCKS)]
        for wide in (4 * width, 2 * width):
            up = nn.ConvTranspose2d(wide, wide // 2, 3, 2, 1, output_padding=1)
            layers += [up, nn.InstanceNorm2d(wide // 2), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x)
        return y


class _Scale(nn.Module):
    factor: Tensor

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.register_buffer("factor", torch.tensor(factor))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Offsets(nn.Module):
    """mid_net or high_net as it is exported: the generator's output × 0.1 × the learned gain (`alpha` or `beta`).

    The gain is part of the checkpoint, so it belongs in the graph: a pipeline needs no number beside its engines.
    """

    def __init__(self, net: ResidualGenerator, gain: float) -> None:
        super().__init__()
        self.net = net
        self.gain = _Scale(0.1 * gain)

    def forward(self, maps: Tensor) -> Tensor:
        offsets: Tensor = self.gain(self.net(maps))
        return offsets
