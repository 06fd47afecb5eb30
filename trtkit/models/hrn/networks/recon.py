"""net_recon: a face crop in, the 257 coefficients of shape, albedo, pose, light and place out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trtkit.models.hrn.coefficients import SIZES
from trtkit.models.hrn.networks.resnet50 import ResNet50


class CoefficientNet(nn.Module):
    """float32 [N, 3, H, W] RGB in 0..1 (224 officially; no mean, no deviation) → float32 [N, 257].

    One 1×1 convolution a group of coefficients on the pooled features, in the order of `coefficients.SIZES`.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.backbone = ResNet50(width)
        self.final_layers = nn.ModuleList(nn.Conv2d(32 * width, size, 1) for size in SIZES)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.backbone(x)[-1].mean((2, 3), keepdim=True)
        return torch.cat([head(pooled) for head in self.final_layers], dim=1).flatten(1)


class FromUint8(nn.Module):
    """uint8 [N, H, W, 3] → float32 [N, 3, H, W] in 0..1: cast before transpose, as every image network's edge."""

    def forward(self, image: Tensor) -> Tensor:
        return image.float().permute(0, 3, 1, 2) / 255.0


class ImageCoefficients(nn.Module):
    """net_recon as it is exported: uint8 [N, 224, 224, 3] RGB → float32 [N, 257].

    The seven heads are one convolution here, their weights one below the other: the same numbers, and one layer in
    FP32 where there would be seven.
    """

    def __init__(self, net: CoefficientNet) -> None:
        super().__init__()
        self.from_uint8 = FromUint8()
        self.backbone = net.backbone
        state = net.final_layers.state_dict()
        weight = torch.cat([state[f"{index}.weight"] for index in range(len(SIZES))])
        self.heads = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
        bias = torch.cat([state[f"{index}.bias"] for index in range(len(SIZES))])
        self.heads.load_state_dict({"weight": weight, "bias": bias})

    def forward(self, image: Tensor) -> Tensor:
        pooled = self.backbone(self.from_uint8(image))[-1].mean((2, 3), keepdim=True)
        coefficients: Tensor = self.heads(pooled).flatten(1)
        return coefficients
