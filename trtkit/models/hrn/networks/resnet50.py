"""ResNet-50 v1.5 without its classifier: the trunk of the coefficient network and of RetinaFace.

He et al., 2015 (arXiv 1512.03385), with the stride on the 3×3 convolution as torchvision has it, whose parameter
names the official checkpoints use.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

_BLOCKS = (3, 4, 6, 3)
_EXPANSION = 4


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * _EXPANSION
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if stride != 1 or inputs != outputs
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """float32 [N, 3, H, W] → the last three stages: [N, 8w, H/8, W/8], [N, 16w, H/16, W/16], [N, 32w, H/32, W/32].

    `width` w is 64 in the official networks.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        inputs = width
        for stage, count in enumerate(_BLOCKS):
            planes = width << stage
            blocks: list[nn.Module] = []
            for index in range(count):
                blocks.append(_Bottleneck(inputs, planes, 2 if stage and not index else 1))
                inputs = planes * _EXPANSION
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        stages = []
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            stages.append(x)
        return stages[1], stages[2], stages[3]
