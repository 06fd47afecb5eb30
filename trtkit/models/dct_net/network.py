"""DCT-Net's generator with its guided filter, as the frozen graphs hold it.

Architecture: Men et al., "DCT-Net: Domain-Calibrated Translation for Portrait Stylization" (SIGGRAPH 2022,
arXiv 2207.02426); the guided filter is He et al. (ECCV 2010) in the deep form of Wu et al. (CVPR 2018). TensorFlow's
habits are part of the network: asymmetric padding of strided convolutions, and a bilinear ×2 whose even output
pixels are the input's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trtkit.models.image_edge import FromUint8, ToUint8

SLOPE = 0.2
"""Of every LeakyReLU: TensorFlow's default."""


@dataclass(frozen=True)
class GeneratorConfig:
    """`channels`: features at full resolution, 32 in the official weights; `blocks`: residual blocks, 4 there."""

    channels: int = 32
    blocks: int = 4


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


class HalvingConv(nn.Conv2d):
    """3×3 convolution of stride 2, [N, C, H, W] → [N, C, H/2, W/2], H and W even: TensorFlow's SAME padding of an
    even size is nothing above and on the left, one zero below and on the right."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)))


def upsample_twice(x: Tensor, like: Tensor) -> Tensor:
    """[N, C, h, w] → [N, C, 2h, 2w], the shape of `like` in its last two axes: TensorFlow's legacy bilinear ×2.

    out[2i] = in[i], out[2i+1] = (in[i] + in[min(i+1, last)]) / 2 along each axis. That is ONNX's Resize with
    asymmetric coordinates, which torch has no operation for: it is named as such in an export and computed from
    torch's own in eager mode, where one more row and column and aligned corners give the same samples.
    """
    if torch.compiler.is_exporting():
        shape = (x.shape[0], x.shape[1], like.shape[2], like.shape[3])
        scales = torch.tensor([1.0, 1.0, 2.0, 2.0])
        attributes: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": "asymmetric"}
        return torch.onnx.ops.symbolic("Resize", (x, None, scales), attributes, dtype=x.dtype, shape=shape)
    height, width = 2 * x.shape[2], 2 * x.shape[3]
    padded = F.pad(x, (0, 1, 0, 1), mode="replicate")
    return F.interpolate(padded, (height + 1, width + 1), mode="bilinear", align_corners=True)[..., :height, :width]


class ResidualBlock(nn.Module):
    """x + conv2(leaky(conv1(x))), no activation behind the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _conv(channels, channels)
        self.conv2 = _conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.conv2(_leaky(self.conv1(x))))


class Generator(nn.Module):
    """float32 [N, 3, H, W] BGR in -1..1 → float32 [N, 3, H, W], unbounded; H and W multiples of 4. No norm anywhere."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        c = config.channels
        self.enter = _conv(3, c, 7)
        self.halve1 = HalvingConv(c)
        self.widen1 = _conv(c, 2 * c)
        self.halve2 = HalvingConv(2 * c)
        self.widen2 = _conv(2 * c, 4 * c)
        self.blocks = nn.ModuleList(ResidualBlock(4 * c) for _ in range(config.blocks))
        self.narrow2 = _conv(4 * c, 2 * c)
        self.merge1 = _conv(2 * c, 2 * c)
        self.narrow1 = _conv(2 * c, c)
        self.merge0 = _conv(c, c)
        self.leave = _conv(c, 3, 7)

    def forward(self, x: Tensor) -> Tensor:
        x0 = _leaky(self.enter(x))
        x1 = _leaky(self.widen1(_leaky(self.halve1(x0))))
        x = _leaky(self.widen2(_leaky(self.halve2(x1))))
        for block in self.blocks:
            x = block(x)
        x = upsample_twice(_leaky(self.narrow2(x)), x1) + x1
        x = _leaky(self.narrow1(_leaky(self.merge1(x))))
        x = upsample_twice(x, x0) + x0
        return cast(Tensor, self.leave(_leaky(self.merge0(x))))


class GuidedFilter(nn.Module):
    """Guide x and source y, float32 [N, 3, H, W] each, -1..1 → y with x's edges, float32 [N, 3, H, W].

    Per channel, radius 1: A = cov(x, y) / (var(x) + 0.01), b = mean(y) − A·mean(x), out = mean(A)·x + mean(b),
    where a mean is over the pixels of the 3×3 window that exist: an average pool without the padding counted.
    """

    epsilon = 1e-2

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        mean_x, mean_y = _mean(x), _mean(y)
        covariance = _mean(x * y) - mean_x * mean_y
        variance = _mean(x * x) - mean_x * mean_x
        a = covariance / (variance + self.epsilon)
        b = mean_y - a * mean_x
        return _mean(a) * x + _mean(b)


def _mean(t: Tensor) -> Tensor:
    return F.avg_pool2d(t, 3, stride=1, padding=1, count_include_pad=False)


class Cartoon(nn.Module):
    """The network as it is exported: uint8 [N, H, W, 3] BGR → uint8 [N, H, W, 3] BGR, truncated, 0..254."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.from_uint8 = FromUint8()
        self.generator = generator
        self.guided_filter = GuidedFilter()
        self.to_uint8 = nn.Sequential(nn.Hardtanh(-0.999999, 0.999999), ToUint8(scale=127.5, offset=127.5))

    def forward(self, image: Tensor) -> Tensor:
        x = self.from_uint8(image)
        return cast(Tensor, self.to_uint8(self.guided_filter(x, self.generator(x))))
