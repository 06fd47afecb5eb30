"""The classical cartoon filter that the embedded networks are distilled from.

Winnemöller, Olsen, Gooch: "Real-Time Video Abstraction" (SIGGRAPH 2006): iterated bilateral smoothing, soft
quantisation of luminance, ink from a difference of Gaussians; colours lifted, and last the network's own guided
filter, so that the teacher shows nothing the student's last step cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trtkit.models.dct_net.network import GuidedFilter


@dataclass(frozen=True)
class Style:
    """Lengths are pixels, levels are of luminance in 0..1.

    `passes` bilateral passes of `radius` and `range_sigma`; luminance in `bins` steps whose edges are `softness` of a
    step wide; `ink_sigma`, `ink_gain` and `ink_floor` are the lines' width, blackness and the darkest they get;
    `contrast` and `saturation` are factors, `lift` brightens the mid-tones.
    """

    passes: int
    radius: int
    range_sigma: float
    bins: int
    softness: float
    ink_sigma: float
    ink_gain: float
    ink_floor: float
    contrast: float
    saturation: float
    lift: float


STYLES = {
    "background": Style(5, 4, 0.14, 5, 0.22, 1.6, 45.0, 0.05, 1.15, 1.45, 0.08),
    "head": Style(4, 4, 0.12, 6, 0.25, 1.2, 45.0, 0.10, 1.15, 1.35, 0.09),
}
"""By network: flat areas and bold lines for the whole picture, finer strokes and more tones for a head."""

# Luminance and two colour differences of BGR (BT.601), and back.
_TO_YUV = torch.tensor([[0.114, 0.587, 0.299], [0.5, -0.331264, -0.168736], [-0.081312, -0.418688, 0.5]])


@torch.no_grad()
def cartoon(x: Tensor, style: Style) -> Tensor:
    """float32 [N, 3, H, W] BGR in -1..1 → its cartoon, float32 [N, 3, H, W] BGR in -1..1."""
    yuv = torch.einsum("oc,nchw->nohw", _TO_YUV, (x + 1) / 2)
    smooth = yuv
    outline = yuv[:, :1]
    for number in range(style.passes):
        smooth = _bilateral(smooth, style.radius, style.range_sigma)
        if number == 0:
            outline = smooth[:, :1]
    light = ((smooth[:, :1] - 0.5) * style.contrast + 0.5).clamp(0, 1)
    light = light + style.lift * 4 * light * (1 - light)
    light = _quantise(light, style.bins, style.softness)
    ink = _ink(outline, style)
    colour = torch.cat([light, smooth[:, 1:] * style.saturation], dim=1)
    bgr = torch.einsum("oc,nchw->nohw", torch.linalg.inv(_TO_YUV), colour).clamp(0, 1) * ink
    filtered: Tensor = GuidedFilter()(x, bgr * 2 - 1)
    return filtered.clamp(-1, 1)


def _bilateral(t: Tensor, radius: int, range_sigma: float) -> Tensor:
    """Each pixel the mean of its window, weighted by nearness in place and in colour (all channels of `t`)."""
    height, width = t.shape[-2:]
    padded = F.pad(t, (radius,) * 4, mode="replicate")
    total, weights = torch.zeros_like(t), torch.zeros_like(t[:, :1])
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            distance = dx * dx + dy * dy
            if distance > radius * radius:
                continue
            moved = padded[..., radius + dy : radius + dy + height, radius + dx : radius + dx + width]
            gap = (moved - t).square().sum(1, keepdim=True)
            weight = torch.exp(-gap / (2 * range_sigma**2) - distance / (2 * (radius / 1.5) ** 2))
            total += weight * moved
            weights += weight
    return total / weights


def _quantise(light: Tensor, bins: int, softness: float) -> Tensor:
    """Luminance 0..1 pulled towards `bins` steps: the way from one step to the next is a tanh, not a jump."""
    scaled = light * bins
    below = torch.floor(scaled)
    within = (scaled - below - 0.5) / softness
    rise = torch.tanh(within) / torch.tanh(torch.tensor(0.5 / softness))
    return (below + 0.5 + 0.5 * rise) / bins


def _ink(light: Tensor, style: Style) -> Tensor:
    """1 where there is no line, down to `ink_floor` in one: where a narrow blur is darker than a wide one."""
    narrow, wide = _blur(light, style.ink_sigma), _blur(light, 1.6 * style.ink_sigma)
    depth = F.relu(wide - narrow - 0.008)
    return style.ink_floor + (1 - style.ink_floor) * (1 - torch.tanh(style.ink_gain * depth))


def _blur(t: Tensor, sigma: float) -> Tensor:
    radius = int(3 * sigma + 0.5)
    taps = torch.arange(-radius, radius + 1, dtype=t.dtype)
    kernel = torch.exp(-taps.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(t, (radius,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
