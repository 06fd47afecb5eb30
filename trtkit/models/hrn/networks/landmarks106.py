"""The 106-landmark network: inverted residuals (Sandler et al., arXiv 1801.04381) and a soft-argmax over 14×14."""

from __future__ import annotations

import torch
from torch import Tensor, nn

POINTS = 106
_CELLS = 14
_BLOCKS = (
    # (inputs, outputs, stride, expansion, residual) of block2..block17, inputs and outputs in units of the width
    (1, 1, 1, 2, False),
    (1, 1, 2, 2, False),
    *((1, 1, 1, 2, True),) * 4,
    (1, 2, 2, 2, False),
    (2, 2, 1, 4, False),
    *((2, 2, 1, 4, True),) * 5,
    (2, 2, 1, 2, False),
    (2, 2, 2, 2, False),
    (2, 2, 1, 2, False),
)


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, residual: bool) -> None:
        super().__init__()
        wide = inputs * expansion
        self.residual = residual
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class _SoftArgmax(nn.Module):
    """float32 [N, 106, 14, 14] → [N, 212], pairs in 0..1: the expected row and the expected column, each / 14.

    The network was trained with this order, rows first: the first number of a pair is x of the picture.
    """

    grid: Tensor

    def __init__(self) -> None:
        super().__init__()
        cells = torch.arange(_CELLS, dtype=torch.float32) / _CELLS
        grid = torch.stack(torch.meshgrid(cells, cells, indexing="ij"), dim=-1)
        self.register_buffer("grid", grid.reshape(-1, 2), persistent=False)

    def forward(self, heat: Tensor) -> Tensor:
        # A product and a sum in place of a matmul: it stays in FP32, and TensorRT-RTX has no FP32 GEMM for Turing.
        return (torch.softmax(heat.flatten(2), dim=-1)[..., None] * self.grid).sum(dim=2).flatten(1)


class Landmarks106(nn.Module):
    """float32 [N, 3, 224, 224], RGB minus (103.94, 116.78, 123.68), / 255 → float32 [N, 212] in 0..1: x, y of each.

    `width` is 64 officially.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w = width
        self.block1 = nn.Sequential(nn.Conv2d(3, w, 3, 2, 1, bias=False), nn.BatchNorm2d(w), nn.PReLU(w))
        for number, (inputs, outputs, stride, expansion, residual) in enumerate(_BLOCKS, start=2):
            block = _InvertedResidual(inputs * w, outputs * w, stride, expansion, residual)
            setattr(self, f"block{number}", block)
        last = nn.Conv2d(2 * w, 4 * w, 3, 1, 1, bias=False)
        self.block18 = nn.Sequential(last, nn.BatchNorm2d(4 * w), nn.PReLU(4 * w))
        self.block19 = nn.Conv2d(4 * w, POINTS, 3, 1, 1, bias=False)
        self.soft_argmax = _SoftArgmax()

    def forward(self, face: Tensor) -> Tensor:
        for number in range(1, 20):
            face = getattr(self, f"block{number}")(face)
        points: Tensor = self.soft_argmax(face)
        return points
