"""Random numbers, noise and implicit shapes in batches: what figures and scenes are drawn with.

Every picture of a batch has its own numbers: parameters are float32 [B, 1, 1, 1], fields float32 [B, C, S, S]. A shape
is an implicit function, negative inside; its scale is free, since `Sheet.cover` measures distances in pixels itself.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


class Sheet:
    """`batch` square pictures of `size` pixels on `device`, with the dice and brushes to draw on them.

    Draws from torch's global generator: `torch.manual_seed` fixes everything.
    """

    def __init__(self, batch: int, size: int, device: torch.device | str) -> None:
        self.batch, self.size, self.device = batch, size, device
        line = (torch.arange(size, device=device, dtype=torch.float32) + 0.5) / size
        self.x = line.view(1, 1, 1, size)
        self.y = line.view(1, 1, size, 1)

    def between(self, low: float, high: float, channels: int = 1) -> Tensor:
        """[B, channels, 1, 1], even between `low` and `high`."""
        return torch.rand(self.batch, channels, 1, 1, device=self.device) * (high - low) + low

    def chance(self, probability: float) -> Tensor:
        """[B, 1, 1, 1] of 0 and 1."""
        return (torch.rand(self.batch, 1, 1, 1, device=self.device) < probability).float()

    def normal(self, scale: float, channels: int = 1) -> Tensor:
        return torch.randn(self.batch, channels, 1, 1, device=self.device) * scale

    def noise(self, cells: int | tuple[int, int], channels: int = 1) -> Tensor:
        """[B, channels, S, S] of about unit variance, smooth over S / cells pixels; `cells` is (down, across)."""
        down, across = (cells, cells) if isinstance(cells, int) else cells
        coarse = torch.randn(self.batch, channels, min(down, self.size), min(across, self.size), device=self.device)
        return F.interpolate(coarse, size=(self.size, self.size), mode="bicubic", align_corners=False)

    def fractal(self, cells: int, octaves: int, channels: int = 1) -> Tensor:
        """Noise of several sizes, [B, channels, S, S], its roughness differing from picture to picture."""
        keep = self.between(0.35, 0.8)
        total = self.noise(cells, channels)
        for octave in range(1, octaves):
            total = total + self.noise(cells * 2**octave, channels) * keep**octave
        return total

    def polar_noise(self, x: Tensor, y: Tensor, turns: int, rings: int, reach: float) -> Tensor:
        """[B, 1, S, S]: noise that runs in `turns` streaks away from the origin of `x`, `y`, changing slowly outwards.

        `reach`: the radius, in units of x and y, at which `rings` cells have passed.
        """
        tile = torch.randn(self.batch, 1, rings, turns, device=self.device)
        tile = torch.cat([tile, tile[..., :1]], dim=3)
        angle = torch.atan2(x, -y) / math.pi
        radius = (x * x + y * y).sqrt() * (2.0 / reach) - 1
        grid = torch.stack([angle.squeeze(1), radius.squeeze(1)], dim=-1)
        return F.grid_sample(tile, grid, mode="bilinear", padding_mode="border", align_corners=True)

    def color(self, saturation: float = 1.0) -> Tensor:
        """[B, 3, 1, 1] in 0..1: any colour, plain ones as often as loud ones, black and white often."""
        hue = self.between(0, 1, 3)
        hue = (hue - hue.amin(1, keepdim=True)) / (hue.amax(1, keepdim=True) - hue.amin(1, keepdim=True) + 1e-3)
        grey = self.between(0, 1)
        vivid = saturation * self.between(0, 1) ** 1.3
        value = grey * (1 - vivid) + vivid * (0.35 + 0.65 * grey)
        colour = value * (1 - vivid + vivid * hue)
        extreme = self.between(0, 1)
        colour = torch.where(extreme < 0.13, colour * 0.12, colour)
        return torch.where(extreme > 0.9, 0.82 + 0.18 * colour, colour)

    def cover(self, shape: Tensor, soft: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        """Coverage [B, 1, S, S] in 0..1 of an implicit shape with an edge `soft` pixels wide, and its unit normal.

        Distances come from the field's own slope: an implicit function need not be a true distance.
        """
        right = F.pad(shape[..., 1:] - shape[..., :-1], (0, 1, 0, 0), mode="replicate")
        down = F.pad(shape[..., 1:, :] - shape[..., :-1, :], (0, 0, 0, 1), mode="replicate")
        slope = (right * right + down * down + 1e-14).sqrt()
        inside = (0.5 - shape / (slope * soft)).clamp(0, 1)
        return inside * inside * (3 - 2 * inside), right / slope, down / slope


def rotate(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    cos, sin = torch.cos(angle), torch.sin(angle)
    return cos * x + sin * y, cos * y - sin * x


def ellipse(x: Tensor, y: Tensor, rx: Tensor | float, ry: Tensor | float) -> Tensor:
    return ((x / rx) ** 2 + (y / ry) ** 2 + 1e-8).sqrt() - 1


def box(x: Tensor, y: Tensor, half_width: Tensor | float, half_height: Tensor | float, round_by: Tensor) -> Tensor:
    across, along = x.abs() - half_width + round_by, y.abs() - half_height + round_by
    outside = (across.clamp(min=0) ** 2 + along.clamp(min=0) ** 2 + 1e-8).sqrt()
    return outside + torch.maximum(across, along).clamp(max=0) - round_by


def limb(
    x: Tensor, y: Tensor, start: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor], r0: Tensor, r1: Tensor
) -> Tensor:
    """A capsule from `start` to `end` whose radius goes from `r0` to `r1`."""
    (ax, ay), (bx, by) = start, end
    dx, dy = bx - ax, by - ay
    along = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy + 1e-8)).clamp(0, 1)
    return ((x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2 + 1e-8).sqrt() - (r0 + (r1 - r0) * along)


def melt(a: Tensor, b: Tensor, radius: Tensor | float) -> Tensor:
    """Union of two shapes with a fillet of about `radius`."""
    h = (0.5 + 0.5 * (b - a) / radius).clamp(0, 1)
    return b + (a - b) * h - radius * h * (1 - h)


def step(low: float | Tensor, high: float | Tensor, x: Tensor) -> Tensor:
    """0 below `low`, 1 above `high`, smooth between."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)
