"""S³FD (Zhang et al., arXiv 1708.05237): the face detector in front of the 68-point network."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_STAGES = ((3, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512), (512, 512, 512, 512))
_SCALED = {"conv3_3_norm": (256, 10.0), "conv4_3_norm": (512, 8.0), "conv5_3_norm": (512, 5.0)}
_LEVELS = {**{name: width for name, (width, _) in _SCALED.items()}, "fc7": 1024, "conv6_2": 512, "conv7_2": 256}


class _ScaledNorm(nn.Module):
    """Each position's channels divided by their Euclidean length, times a learned factor a channel."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        length = x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10
        return x / length * self.weight[:, None, None]


class S3FD(nn.Module):
    """float32 [N, 3, H, W] BGR minus (104, 117, 123) → boxes [N, P, 4] and logits [N, P, 2] of P cells.

    Levels of stride 4, 8, … 128 one after the other, each row by row; one anchor a cell, four strides wide. On the
    finest level three background scores compete and the largest stands.
    """

    def __init__(self) -> None:
        super().__init__()
        for stage, widths in enumerate(_STAGES, start=1):
            for index, (inputs, outputs) in enumerate(pairwise(widths), start=1):
                setattr(self, f"conv{stage}_{index}", nn.Conv2d(inputs, outputs, 3, 1, 1))
        self.fc6, self.fc7 = nn.Conv2d(512, 1024, 3, 1, 3), nn.Conv2d(1024, 1024, 1)
        self.conv6_1, self.conv6_2 = nn.Conv2d(1024, 256, 1), nn.Conv2d(256, 512, 3, 2, 1)
        self.conv7_1, self.conv7_2 = nn.Conv2d(512, 128, 1), nn.Conv2d(128, 256, 3, 2, 1)
        for name, (width, scale) in _SCALED.items():
            setattr(self, name, _ScaledNorm(width, scale))
        for name, width in _LEVELS.items():
            scores = 4 if name == "conv3_3_norm" else 2
            setattr(self, f"{name}_mbox_conf", nn.Conv2d(width, scores, 3, 1, 1))
            setattr(self, f"{name}_mbox_loc", nn.Conv2d(width, 4, 3, 1, 1))

    def _features(self, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for stage, widths in enumerate(_STAGES, start=1):
            for index in range(1, len(widths)):
                x = F.relu(getattr(self, f"conv{stage}_{index}")(x))
            if stage >= 3:
                found.append(getattr(self, f"conv{stage}_3_norm")(x))
            x = F.max_pool2d(x, 2, 2)
        for first, second in (("fc6", "fc7"), ("conv6_1", "conv6_2"), ("conv7_1", "conv7_2")):
            x = F.relu(getattr(self, second)(F.relu(getattr(self, first)(x))))
            found.append(x)
        return found

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        boxes, scores = [], []
        for name, features in zip(_LEVELS, self._features(image), strict=True):
            score = getattr(self, f"{name}_mbox_conf")(features)
            if name == "conv3_3_norm":
                score = torch.cat([score[:, :3].amax(dim=1, keepdim=True), score[:, 3:]], dim=1)
            scores.append(score.flatten(2))
            boxes.append(getattr(self, f"{name}_mbox_loc")(features).flatten(2))
        return torch.cat(boxes, dim=2).transpose(1, 2), torch.cat(scores, dim=2).transpose(1, 2)
