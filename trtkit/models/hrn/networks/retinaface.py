"""RetinaFace on a ResNet-50 (Deng et al., arXiv 1905.00641): boxes, scores and five points of every anchor."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trtkit.models.hrn.networks.resnet50 import ResNet50

_ANCHORS = 2


class _ConvNorm(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, bias=False), nn.BatchNorm2d(outputs))


class _Pyramid(nn.Module):
    """Three levels of features brought to one width, each coarser one added to the next finer."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.output1 = _ConvNorm(inputs, width, 1)
        self.output2 = _ConvNorm(2 * inputs, width, 1)
        self.output3 = _ConvNorm(4 * inputs, width, 1)
        self.merge1 = _ConvNorm(width, width, 3)
        self.merge2 = _ConvNorm(width, width, 3)

    def forward(self, levels: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        eighth, sixteenth = F.relu(self.output1(levels[0])), F.relu(self.output2(levels[1]))
        coarse = F.relu(self.output3(levels[2]))
        sixteenth = F.relu(self.merge2(sixteenth + F.interpolate(coarse, scale_factor=2, mode="nearest")))
        eighth = F.relu(self.merge1(eighth + F.interpolate(sixteenth, scale_factor=2, mode="nearest")))
        return eighth, sixteenth, coarse


class _Context(nn.Module):
    """3×3, 5×5 and 7×7 views of a level side by side, the larger two made of 3×3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv3X3 = _ConvNorm(width, width // 2, 3)
        self.conv5X5_1 = _ConvNorm(width, width // 4, 3)
        self.conv5X5_2 = _ConvNorm(width // 4, width // 4, 3)
        self.conv7X7_2 = _ConvNorm(width // 4, width // 4, 3)
        self.conv7x7_3 = _ConvNorm(width // 4, width // 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        shared = F.relu(self.conv5X5_1(x))
        wide = self.conv7x7_3(F.relu(self.conv7X7_2(shared)))
        return F.relu(torch.cat([self.conv3X3(x), self.conv5X5_2(shared), wide], dim=1))


class _Head(nn.Module):
    def __init__(self, inputs: int, values: int) -> None:
        super().__init__()
        self.values = values
        self.conv1x1 = nn.Conv2d(inputs, _ANCHORS * values, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, h, w] → [N, h·w·2, values], anchors of one cell next to each other."""
        y: Tensor = self.conv1x1(x)
        return y.permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.values)


class RetinaFace(nn.Module):
    """float32 [N, 3, H, W] RGB with ImageNet's mean and deviation taken out, H and W multiples of 32 →

    boxes [N, P, 4], logits [N, P, 2] and points [N, P, 10] of P anchors, not yet decoded; P is 10752 at 512×512.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        features = 4 * width
        self.body = ResNet50(width)
        self.fpn = _Pyramid(8 * width, features)
        self.ssh1, self.ssh2, self.ssh3 = _Context(features), _Context(features), _Context(features)
        self.ClassHead = nn.ModuleList(_Head(features, 2) for _ in range(3))
        self.BboxHead = nn.ModuleList(_Head(features, 4) for _ in range(3))
        self.LandmarkHead = nn.ModuleList(_Head(features, 10) for _ in range(3))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first, second, third = self.fpn(self.body(image))
        levels = (self.ssh1(first), self.ssh2(second), self.ssh3(third))

        def joined(heads: nn.ModuleList) -> Tensor:
            return torch.cat([head(level) for head, level in zip(heads, levels, strict=True)], dim=1)

        return joined(self.BboxHead), joined(self.ClassHead), joined(self.LandmarkHead)
