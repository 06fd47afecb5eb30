"""The matting U-Net: an RGB picture in, its alpha out.

A classic U-Net (Ronneberger et al., 2015, arXiv 1505.04597): double 3×3 convolutions, 2×2 max pooling, bilinear
upsampling, concatenated skips. The official cv_unet graph is undocumented inside and is imported, not rebuilt; this
is trtkit's own network of the same task and contract.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trtkit.models.image_edge import FromUint8, ToUint8


@dataclass(frozen=True)
class UNetConfig:
    """`width`: channels at full resolution; `depth`: number of halvings; `cap`: most channels of any level.

    `norm`: True trains with batch norm; False has biased convolutions alone, the form weights are shipped in
    after folding (fold.py), because Q/DQ graphs need folded norms and FP16 is kinder to them.
    """

    width: int = 16
    depth: int = 6
    cap: int = 160
    norm: bool = False

    def channels(self) -> list[int]:
        """Channels of each level, full resolution first; depth + 1 of them."""
        return [min(self.width * 2**level, self.cap) for level in range(self.depth + 1)]


def _double_conv(inputs: int, outputs: int, norm: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers.append(nn.Conv2d(channels, outputs, 3, padding=1, bias=not norm))
        if norm:
            layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class MattingUNet(nn.Module):
    """float32 [N, 3, H, W] RGB in -1..1 → float32 [N, 1, H, W] alpha in 0..1, any H and W of at least 2**depth."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels()
        self.encoder = nn.ModuleList(
            _double_conv(before, after, config.norm) for before, after in zip([3, *channels], channels, strict=False)
        )
        self.decoder = nn.ModuleList(
            _double_conv(deep + skip, skip, config.norm)
            for deep, skip in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(channels[0], 1, 3, padding=1)

    def logits(self, x: Tensor) -> Tensor:
        """Alpha before the sigmoid, [N, 1, H, W]: what training's cross entropy wants."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else F.max_pool2d(x, 2))
            skips.append(x)
        for block, skip in zip(self.decoder, skips[-2::-1], strict=True):
            # To the skip's size, not by a factor of two: odd sizes lose their last row in pooling.
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([skip, x], dim=1))
        logits: Tensor = self.head(x)
        return logits

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(x))


class ImageMatting(nn.Module):
    """The network as it is exported: uint8 [N, H, W, 3] RGB → uint8 [N, H, W, 1] alpha, rounded."""

    def __init__(self, unet: MattingUNet) -> None:
        super().__init__()
        self.from_uint8 = FromUint8()
        self.unet = unet
        self.to_uint8 = ToUint8(scale=255.0, offset=0.5)

    def forward(self, image: Tensor) -> Tensor:
        alpha: Tensor = self.to_uint8(self.unet(self.from_uint8(image)))
        return alpha
