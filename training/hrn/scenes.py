"""Pictures around the drawn faces: backgrounds, placing, cutting by the border, light and noise of a camera."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.hrn.drawing import SIDE


def uniform(low: float, high: float, *shape: int, device: torch.device) -> Tensor:
    return low + (high - low) * torch.rand(*shape, device=device)


def backgrounds(count: int, side: int, device: torch.device) -> Tensor:
    """float [N, 3, side, side] in 0..1: plain, gradients, noise of many sizes, hard-edged patches and discs."""
    picture = torch.rand(count, 3, 1, 1, device=device).expand(-1, -1, side, side).clone()
    coarse = torch.rand(count, 3, 2, 2, device=device)
    gradient = F.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=True)
    picture = torch.lerp(picture, gradient, (torch.rand(count, 1, 1, 1, device=device) < 0.6) * 0.7)
    for cells in (4, 9, 23, 61, side):
        noise = torch.rand(count, 3, cells, cells, device=device) - 0.5
        grey = torch.rand(count, 1, cells, cells, device=device) - 0.5
        noise = F.interpolate((noise + 2 * grey) / 2, size=(side, side), mode="bilinear", align_corners=False)
        hard = torch.rand(count, 1, 1, 1, device=device) < 0.3
        noise = torch.where(hard, noise.sign() * 0.3, noise)
        weight = torch.rand(count, 1, 1, 1, device=device) ** 3 * 1.2
        weight = weight * (torch.rand(count, 1, 1, 1, device=device) < 0.6)
        picture = picture + weight * noise
    axis = torch.arange(side, device=device) / side
    for _ in range(4):
        x, y = (torch.rand(count, 1, 1, device=device) for _ in range(2))
        rx, ry = (0.03 + 0.3 * torch.rand(count, 1, 1, device=device) ** 2 for _ in range(2))
        dx, dy = ((axis[None, None, :] - x) / rx).abs(), ((axis[None, :, None] - y) / ry).abs()
        disc = torch.rand(count, 1, 1, device=device) < 0.6
        inside = torch.where(disc, dx**2 + dy**2, torch.maximum(dx, dy).expand(-1, side, side)) < 1
        shown = inside & (torch.rand(count, 1, 1, device=device) < 0.5)
        tone = torch.rand(count, 3, 1, 1, device=device)
        skin = torch.tensor([0.8, 0.62, 0.52], device=device)[:, None, None] * (0.4 + 0.7 * tone[:, :1])
        tone = torch.where(torch.rand(count, 1, 1, 1, device=device) < 0.5, tone, skin)
        picture = torch.where(shown[:, None], tone, picture)
    return picture.clamp(0, 1)


def paste(picture: Tensor, rgba: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Patches uint8 [N, 4, 256, 256] onto pictures [N, 3, S, S]: patch pixel p comes to p · scale [N] + shift [N, 2].

    Where a patch shrinks, it is averaged first.
    """
    side = picture.shape[-1]
    shrink = 0
    while shrink < 4 and float(scale.max()) < 0.6 / 2**shrink:
        shrink += 1
    maps = rgba.float() / 255
    if shrink:
        maps = F.avg_pool2d(maps, 2**shrink)
    axis = torch.arange(side, device=picture.device).float()
    x = ((axis[None] - shift[:, :1]) / scale[:, None] + 0.5) / SIDE * 2 - 1
    y = ((axis[None] - shift[:, 1:]) / scale[:, None] + 0.5) / SIDE * 2 - 1
    grid = torch.stack([x[:, None].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], dim=-1)
    # Colours carry their alpha, so that the rim does not darken.
    maps = torch.cat([maps[:, :3] * maps[:, 3:], maps[:, 3:]], dim=1)
    placed = F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return picture * (1 - placed[:, 3:]) + placed[:, :3]


def camera(picture: Tensor) -> Tensor:
    """[N, 3, S, S] in 0..1 as cameras and files make them: gain, gamma, few pixels, noise, grey; whole grey levels."""
    count, side, device = len(picture), picture.shape[-1], picture.device
    gamma = uniform(0.75, 1.35, count, 1, 1, 1, device=device)
    gain = uniform(0.85, 1.12, count, 1, 1, 1, device=device) * uniform(0.95, 1.05, count, 3, 1, 1, device=device)
    changed = torch.rand(count, 1, 1, 1, device=device) < 0.5
    picture = torch.where(changed, picture.clamp_min(1e-4) ** gamma * gain, picture)
    few = int(side / (1 + 9 * float(torch.rand(())) ** 2))
    small = F.interpolate(picture, size=(few, few), mode="bilinear", antialias=True, align_corners=False)
    back = F.interpolate(small, size=(side, side), mode="bicubic", align_corners=False)
    picture = torch.where(torch.rand(count, 1, 1, 1, device=device) < 0.25, back, picture)
    noise = torch.rand(count, 1, 1, 1, device=device) ** 4 * 0.08
    picture = picture + noise * torch.randn_like(picture)
    grey = (picture * torch.tensor([0.299, 0.587, 0.114], device=device)[:, None, None]).sum(1, keepdim=True)
    picture = torch.where(torch.rand(count, 1, 1, 1, device=device) < 0.15, grey, picture)
    return (picture.clamp(0, 1) * 255).round() / 255


def sometimes(picture: Tensor, chance: float = 0.6) -> Tensor:
    """`camera` for so many of the pictures; the others stay as sharp as they are drawn."""
    taken = torch.rand(len(picture), 1, 1, 1, device=picture.device) < chance
    return torch.where(taken, camera(picture), picture)


def letterbox(count: int, device: torch.device) -> Tensor:
    """[N, 2], half the width and height of pictures of any shape whose longer side is brought to 512 pixels."""
    band = uniform(0, 0.45, count, device=device) * (torch.rand(count, device=device) < 0.75)
    half = 256 * (1 - band)
    wide = torch.rand(count, device=device) < 0.6
    full = torch.full_like(half, 256)
    return torch.stack([torch.where(wide, full, half), torch.where(wide, half, full)], dim=1)


def cut(picture: Tensor, fill: Tensor | float, chance: float = 0.2) -> Tensor:
    """`fill` beyond a straight line, for some pictures: what lies beyond the border of the photograph."""
    count, side, device = len(picture), picture.shape[-1], picture.device
    axis = torch.arange(side, device=device) / side
    edge = uniform(0.0, 0.3, count, 1, 1, device=device)
    kind = torch.randint(0, 4, (count, 1, 1), device=device)
    along = torch.where(kind < 2, axis[None, None, :].expand(1, side, -1), axis[None, :, None].expand(1, -1, side))
    along = torch.where(kind % 2 == 0, along, 1 - along)
    gone = (along < edge) & (torch.rand(count, 1, 1, device=device) < chance)
    return torch.where(gone[:, None], torch.as_tensor(fill, device=device, dtype=picture.dtype), picture)
