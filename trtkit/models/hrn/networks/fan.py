"""3DFAN-4: four stacked hourglasses that draw a heat map for each of 68 face points (Bulat, arXiv 1703.07332)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

POINTS = 68
_DEPTH = 4


class _Block(nn.Module):
    """Three 3×3 convolutions of a half, a quarter and a quarter of the outputs, side by side, added to the input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, half, 3, 1, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(half), nn.Conv2d(half, quarter, 3, 1, 1, bias=False)
        self.bn3, self.conv3 = nn.BatchNorm2d(quarter), nn.Conv2d(quarter, quarter, 3, 1, 1, bias=False)
        self.downsample = (
            nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False))
            if inputs != outputs
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv1(F.relu(self.bn1(x)))
        second = self.conv2(F.relu(self.bn2(first)))
        third = self.conv3(F.relu(self.bn3(second)))
        return torch.cat([first, second, third], dim=1) + (x if self.downsample is None else self.downsample(x))


class _Hourglass(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        for level in range(_DEPTH, 0, -1):
            for name in (f"b1_{level}", f"b2_{level}", f"b3_{level}"):
                setattr(self, name, _Block(channels, channels))
        self.b2_plus_1 = _Block(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self._level(_DEPTH, x)

    def _level(self, level: int, x: Tensor) -> Tensor:
        low = getattr(self, f"b2_{level}")(F.avg_pool2d(x, 2))
        low = self._level(level - 1, low) if level > 1 else self.b2_plus_1(low)
        low = getattr(self, f"b3_{level}")(low)
        up: Tensor = getattr(self, f"b1_{level}")(x)
        return up + F.interpolate(low, scale_factor=2, mode="nearest")


class FAN(nn.Module):
    """float32 [N, 3, 256, 256] RGB in 0..1 → the last stack's heat maps, float32 [N, 68, 64, 64]."""

    def __init__(self, stacks: int = 4, channels: int = 256) -> None:
        super().__init__()
        self.stacks = stacks
        self.conv1, self.bn1 = nn.Conv2d(3, channels // 4, 7, 2, 3), nn.BatchNorm2d(channels // 4)
        self.conv2 = _Block(channels // 4, channels // 2)
        self.conv3 = _Block(channels // 2, channels // 2)
        self.conv4 = _Block(channels // 2, channels)
        for stack in range(stacks):
            setattr(self, f"m{stack}", _Hourglass(channels))
            setattr(self, f"top_m_{stack}", _Block(channels, channels))
            setattr(self, f"conv_last{stack}", nn.Conv2d(channels, channels, 1))
            setattr(self, f"bn_end{stack}", nn.BatchNorm2d(channels))
            setattr(self, f"l{stack}", nn.Conv2d(channels, POINTS, 1))
            if stack < stacks - 1:
                setattr(self, f"bl{stack}", nn.Conv2d(channels, channels, 1))
                setattr(self, f"al{stack}", nn.Conv2d(POINTS, channels, 1))

    def forward(self, face: Tensor) -> Tensor:
        x = F.avg_pool2d(self.conv2(F.relu(self.bn1(self.conv1(face)))), 2)
        x = self.conv4(self.conv3(x))
        for stack in range(self.stacks):
            top = getattr(self, f"top_m_{stack}")(getattr(self, f"m{stack}")(x))
            top = F.relu(getattr(self, f"bn_end{stack}")(getattr(self, f"conv_last{stack}")(top)))
            heat: Tensor = getattr(self, f"l{stack}")(top)
            if stack < self.stacks - 1:
                x = x + getattr(self, f"bl{stack}")(top) + getattr(self, f"al{stack}")(heat)
        return heat
