"""S³FD (Zhang et al., arXiv 1708.05237): the face detector in front of the 68-point network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_STAGES = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))
"""Outputs of the convolutions of each stage, in units of the width; the detector's levels below likewise."""
_SCALED = {"conv3_3_norm": (4, 10.0), "conv4_3_norm": (8, 8.0), "conv5_3_norm": (8, 5.0)}
_LEVELS = {**{name: wide for name, (wide, _) in _SCALED.items()}, "fc7": 16, "conv6_2": 8, "conv7_2": 4}


class _ScaledNorm(nn.Module):
    """Each position's channels divided by their Euclidean length, times a learned factor a channel."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        # Officially + 1e-10, which torch's exporter takes for nothing: where no channel speaks, 0 / 0 would be left.
        length = x.square().sum(dim=1, keepdim=True).sqrt().clamp_min(1e-10)
        return x / length * self.weight[:, None, None]


class S3FD(nn.Module):
    """float32 [N, 3, H, W] BGR minus (104, 117, 123) → boxes [N, P, 4] and logits [N, P, 2] of P cells.

    Levels of stride 4, 8, … 128 one after the other, each row by row; one anchor a cell, four strides wide. On the
    finest level three background scores compete and the largest stands. `width` is 64 officially.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w = width
        inputs = 3
        for stage, outputs in enumerate(_STAGES, start=1):
            for index, wide in enumerate(outputs, start=1):
                setattr(self, f"conv{stage}_{index}", nn.Conv2d(inputs, wide * w, 3, 1, 1))
                inputs = wide * w
        self.fc6, self.fc7 = nn.Conv2d(8 * w, 16 * w, 3, 1, 3), nn.Conv2d(16 * w, 16 * w, 1)
        self.conv6_1, self.conv6_2 = nn.Conv2d(16 * w, 4 * w, 1), nn.Conv2d(4 * w, 8 * w, 3, 2, 1)
        self.conv7_1, self.conv7_2 = nn.Conv2d(8 * w, 2 * w, 1), nn.Conv2d(2 * w, 4 * w, 3, 2, 1)
        for name, (wide, scale) in _SCALED.items():
            setattr(self, name, _ScaledNorm(wide * w, scale))
        for name, wide in _LEVELS.items():
            scores = 4 if name == "conv3_3_norm" else 2
            setattr(self, f"{name}_mbox_conf", nn.Conv2d(wide * w, scores, 3, 1, 1))
            setattr(self, f"{name}_mbox_loc", nn.Conv2d(wide * w, 4, 3, 1, 1))

    def _features(self, x: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for stage, widths in enumerate(_STAGES, start=1):
            for index in range(1, len(widths) + 1):
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
