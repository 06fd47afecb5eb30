"""The de-retouching U-Net: a face texture in, the soft-light layer that undoes beauty filters out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _DoubleConv(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class _Entry(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _DoubleConv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class _Down(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mpconv = nn.Sequential(nn.MaxPool2d(2), _DoubleConv(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.mpconv(x)
        return y


class _Up(nn.Module):
    """Doubles `deep` bilinearly, corners aligned, and joins it behind `skip`, whose sides are exactly twice as long."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = _DoubleConv(inputs, outputs)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        doubled = F.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=True)
        y: Tensor = self.conv(torch.cat([skip, doubled], dim=1))
        return y


class _Exit(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class DeRetouchNet(nn.Module):
    """float32 [N, 3, H, W] RGB in -1..1 → float32 [N, 3, H, W] in 0..1; H and W multiples of 16 (512 officially).

    `width` is 64 officially. `dsoutc1..4`, the heads of training's deep supervision, are in the checkpoint and unused.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w = width
        self.inc = _Entry(3, w)
        self.down1, self.down2 = _Down(w, 2 * w), _Down(2 * w, 4 * w)
        self.down3, self.down4 = _Down(4 * w, 8 * w), _Down(8 * w, 8 * w)
        self.up1, self.up2 = _Up(16 * w, 4 * w), _Up(8 * w, 2 * w)
        self.up3, self.up4 = _Up(4 * w, w), _Up(2 * w, w)
        self.outc = _Exit(w, 3)
        self.dsoutc4, self.dsoutc3 = _Exit(4 * w, 3), _Exit(2 * w, 3)
        self.dsoutc2, self.dsoutc1 = _Exit(w, 3), _Exit(w, 3)

    def forward(self, texture: Tensor) -> Tensor:
        full = self.inc(texture)
        half = self.down1(full)
        quarter = self.down2(half)
        eighth = self.down3(quarter)
        x = self.up1(self.down4(eighth), eighth)
        x = self.up4(self.up3(self.up2(x, quarter), half), full)
        return torch.sigmoid(self.outc(x))
