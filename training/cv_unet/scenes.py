"""Backgrounds and textures: photographs that ship with scikit-image, studio walls, drapery, clutter, gradients."""

from __future__ import annotations

import math
import random

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.cv_unet.fields import Sheet, box, ellipse, rotate, step
from training.cv_unet.hangings import hang

PHOTOGRAPHS = (
    "brick", "chelsea", "coffee", "coins", "grass", "gravel", "hubble_deep_field", "immunohistochemistry", "moon",
    "page", "rocket", "text",
)  # fmt: skip
"""Functions of skimage.data. Not astronaut (the acceptance test) and not camera (it shows a man)."""


def photographs(size: int, device: torch.device | str) -> Tensor:
    """uint8 [P, 3, size, size]: several square cuts of every photograph."""
    import skimage.data

    pictures = [getattr(skimage.data, name)() for name in PHOTOGRAPHS]
    pictures += list(skimage.data.stereo_motorcycle()[:2])  # type: ignore[no-untyped-call]
    cuts = []
    for picture in pictures:
        rgb = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB) if picture.ndim == 2 else picture[..., :3]
        side = min(rgb.shape[:2])
        for part in (0.0, 0.5, 1.0):
            top, left = (round((length - side) * part) for length in rgb.shape[:2])
            cut = np.ascontiguousarray(rgb[top : top + side, left : left + side])
            cuts.append(cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_CUBIC))
    return torch.from_numpy(np.stack(cuts)).permute(0, 3, 1, 2).contiguous().to(device)


def photograph(sheet: Sheet, store: Tensor) -> Tensor:
    """[B, 3, S, S] in 0..1: a random part of a random photograph, turned and recoloured a little."""
    chosen = store[torch.randint(len(store), (sheet.batch,), device=sheet.device)].float() / 255
    angle, zoom = sheet.normal(0.15), sheet.between(0.25, 1.1)
    x, y = rotate((sheet.x - 0.5) * 2 * zoom, (sheet.y - 0.5) * 2 * zoom, angle)
    x, y = (x + sheet.between(-0.6, 0.6)) * (1 - 2 * sheet.chance(0.5)), y + sheet.between(-0.6, 0.6)
    grid = torch.stack([x.squeeze(1), y.squeeze(1)], dim=-1)
    part = F.grid_sample(chosen, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    tint = 1 + sheet.normal(0.12, 3) * sheet.chance(0.6)
    return (part * tint * sheet.between(0.6, 1.4)).clamp(0, 1)


def pattern(sheet: Sheet) -> Tensor:
    """[B, 1, S, S] in 0..1: stripes, checks, blotches or weave, grey; cloth, wallpaper and flags are made of it."""
    x, y = rotate(sheet.x - 0.5, sheet.y - 0.5, sheet.between(0, math.pi))
    x, y = x + sheet.noise(4) * sheet.between(0, 0.04), y + sheet.noise(4) * sheet.between(0, 0.04)
    pitch, sharp = 10 ** sheet.between(0.5, 1.9) * 2 * math.pi, sheet.between(1, 12)
    stripes = torch.sigmoid(torch.sin(x * pitch + sheet.between(0, 6)) * sharp)
    checks = stripes * 0.5 + torch.sigmoid(torch.sin(y * pitch) * sharp) * 0.5
    blotches = torch.sigmoid(sheet.fractal(random.choice((2, 4, 8, 16)), 4) * sheet.between(0.6, 5))
    kind = sheet.between(0, 1)
    return torch.where(kind < 0.3, stripes, torch.where(kind < 0.45, checks, blotches))


def texture(sheet: Sheet, store: Tensor) -> Tensor:
    """[B, 3, S, S] in 0..1: patterns in any two colours, or a photograph's grain."""
    mix = pattern(sheet)
    painted = sheet.color() * mix + sheet.color() * (1 - mix)
    painted = painted + sheet.fractal(16, 3, 3) * sheet.between(0, 0.06)
    return torch.where(sheet.chance(0.15) > 0, photograph(sheet, store), painted).clamp(0, 1)


def wall(sheet: Sheet) -> Tensor:
    """[B, 3, S, S]: a studio wall, mottled and unevenly lit, or a plain gradient."""
    base, other = sheet.color(0.6), sheet.color(0.6)
    mottle = sheet.fractal(random.choice((2, 3, 5)), 4)
    ramp = (sheet.y - 0.5) * sheet.between(-1, 1) + (sheet.x - 0.5) * sheet.between(-1, 1)
    glow = torch.exp(-ellipse(sheet.x - sheet.between(0, 1), sheet.y - sheet.between(0, 1), 0.5, 0.5).clamp(min=-1) * 2)
    light = 1 + ramp * sheet.between(0, 0.9) + (glow - 0.5) * sheet.between(0, 0.25) * sheet.chance(0.5)
    return base * light + (other - base) * mottle * sheet.between(0, 0.14)


def drapery(sheet: Sheet, store: Tensor) -> tuple[Tensor, Tensor]:
    """A hanging cloth, flag or curtain [B, 3, S, S], and its coverage: one side of a tilted, wavy line."""
    x, y = rotate(sheet.x - 0.5, sheet.y - 0.5, sheet.normal(0.25))
    folds = sheet.noise((2, random.choice((6, 10, 18))))
    x = x + folds * 0.015
    lane = torch.floor((x * torch.cos(sheet.between(-1.4, 1.4)) + y) * sheet.between(4, 14))
    stripes = torch.remainder(lane, 2)
    cloth = sheet.color() * stripes + sheet.color() * (1 - stripes)
    cell_x, cell_y = (torch.remainder(v * sheet.between(6, 16), 1) - 0.5 for v in (x, y))
    stars = sheet.cover(ellipse(cell_x, cell_y, 0.28, 0.28) + 0.3 * torch.cos(5 * torch.atan2(cell_x, cell_y)), 2)[0]
    spangled = sheet.color() * (1 - stars) + sheet.color(0.3) * stars
    # A canton: stars on one side of a line, stripes on the other.
    cloth = torch.where(
        (y + sheet.between(-0.6, 0.6) + x * sheet.normal(0.5) < 0) & (sheet.chance(0.6) > 0), spangled, cloth
    )
    cloth = torch.where(sheet.chance(0.3) > 0, texture(sheet, store), cloth)
    deep = torch.tanh(sheet.noise((2, random.choice((5, 12)))) * 1.5) * sheet.between(0, 0.35)
    cloth = cloth * (1 + folds * sheet.between(0.05, 0.25)) * (1 + deep)
    edge = (x + sheet.noise(5) * 0.03 - sheet.between(-0.45, 0.1)) * (1 - 2 * sheet.chance(0.5))
    return cloth, sheet.cover(edge, sheet.between(1, 8))[0]


def thing(sheet: Sheet, store: Tensor) -> tuple[Tensor, Tensor]:
    """An object [B, 3, S, S] and its coverage: furniture, pillar, vase, ball or board, shaded or flat."""
    x, y = rotate(
        sheet.x - sheet.between(-0.05, 1.05), sheet.y - sheet.between(0, 1.1),
        torch.where(sheet.chance(0.7) > 0, sheet.normal(0.04), sheet.between(0, 3.1)),
    )  # fmt: skip
    width, height = 10 ** sheet.between(-2, -0.4), 10 ** sheet.between(-1.7, -0.25)
    # A profile along y turns ellipses and boxes into vases, bottles, cones and rockets.
    bent = x * (1 + sheet.chance(0.35) * (0.6 * torch.sin(y / height * sheet.between(1, 4) + sheet.between(0, 6))))
    round_one = ellipse(bent, y, width, height) * torch.minimum(width, height)
    boxed = box(bent, y, width, height, torch.minimum(width, height) * sheet.between(0, 0.9))
    shape = torch.where(sheet.chance(0.4) > 0, round_one, boxed)
    body, nx, ny = sheet.cover(shape, sheet.between(1, 6))
    plain = sheet.color() * (1 + sheet.noise(3) * 0.06)
    skin = torch.where(sheet.chance(0.6) > 0, plain.expand(-1, 3, sheet.size, sheet.size), texture(sheet, store))
    depth = torch.exp(shape.clamp(max=0) / (0.5 * torch.minimum(width, height)))
    light = 1 + (nx * sheet.between(-1, 1) + ny * sheet.between(-1, 0.3)) * depth * 0.7 * sheet.chance(0.6)
    shine = torch.exp(-(((x / width - sheet.between(-0.5, 0.5)) ** 2 + (y / height + 0.4) ** 2) * 30)) * sheet.chance(
        0.25
    )
    return skin * light + shine * 0.8, body


def cord(sheet: Sheet) -> tuple[Tensor, Tensor]:
    """Poles, ropes and tassels: one or two upright bars [B, 3, S, S], twisted or shining, and their coverage."""
    x, y = rotate(sheet.x - sheet.between(0.02, 0.98), sheet.y - 0.5, sheet.normal(0.12))
    x = x + sheet.noise((3, 1)) * sheet.between(0, 0.03)
    apart = sheet.between(0.02, 0.12) * sheet.chance(0.5)
    near = (x.abs() - apart).abs() - 10 ** sheet.between(-2.4, -1.4)
    end = (y - sheet.between(-0.4, 0.3)) * (1 - 2 * sheet.chance(0.5))
    shape = torch.where(sheet.chance(0.5) > 0, near, torch.maximum(near, end))
    part, nx, _ = sheet.cover(shape, 1.5)
    twist = torch.sin((x * sheet.between(-1, 1) + y) * sheet.between(40, 250)) * sheet.between(0, 0.5)
    return sheet.color() * (1 + twist * sheet.chance(0.6)) * (1 + nx * sheet.normal(0.3)), part


def lines(sheet: Sheet) -> tuple[Tensor, Tensor]:
    """Bars, frames, cables, blinds: parallel lines [B, 3, 1, 1] over part of the picture, and their coverage."""
    x, y = rotate(
        sheet.x - 0.5,
        sheet.y - 0.5,
        torch.where(sheet.chance(0.7) > 0, sheet.chance(0.5) * 1.5708, sheet.between(0, 3.1)),
    )
    pitch = sheet.between(0.05, 0.9)
    near = (torch.remainder(x + sheet.noise(3) * sheet.between(0, 0.01) + sheet.between(0, 1), pitch) - pitch / 2).abs()
    bars = sheet.cover(near - 10 ** sheet.between(-2.8, -1.3), sheet.between(1, 3))[0]
    window = sheet.cover(
        box(x - sheet.between(-0.5, 0.5), y - sheet.between(-0.5, 0.5), 0.45, 0.45, sheet.between(0.01, 0.02)), 2
    )
    return sheet.color(), bars * window[0]


def backgrounds(sheet: Sheet, store: Tensor, hung: float = 0.0) -> Tensor:
    """float32 [B, 3, S, S] in 0..1: places without people, a share `hung` with flags and stands."""
    kind = sheet.between(0, 1)
    ground = wall(sheet)
    ground = torch.where(kind > 0.42, photograph(sheet, store), ground)
    ground = torch.where(kind > 0.72, texture(sheet, store), ground)
    busy = sheet.between(0, 1)
    for _ in range(random.randint(1, 6)):
        paint, over = thing(sheet, store)
        ground = torch.lerp(ground, paint, over * (sheet.between(0, 1) < busy))
    for _ in range(2):
        if random.random() < 0.6:
            paint, over = drapery(sheet, store)
            ground = torch.lerp(ground, paint, over * sheet.chance(0.4))
    if random.random() < 0.5:
        paint, over = cord(sheet)
        ground = torch.lerp(ground, paint, over * sheet.chance(0.4))
    if random.random() < 0.5:
        paint, over = lines(sheet)
        ground = torch.lerp(ground, paint.expand_as(ground), over * sheet.chance(0.5))
    if random.random() < 0.4:  # a horizon, a table top, a floor
        low = step(0, 0.02, sheet.y - sheet.between(0.3, 1.1) + (sheet.x - 0.5) * sheet.normal(0.1))
        ground = torch.lerp(ground, (texture(sheet, store) * 0.3 + sheet.color(0.5) * 0.7), low * sheet.chance(0.5))
    if hung:
        ground = hang(sheet, ground, hung)
    if random.random() < 0.55:
        ground = blur(ground, 10 ** random.uniform(-0.2, 1.0) * sheet.size / 512)
    return ground.clamp(0, 1)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [B, C, S, S] by `sigma` pixels, edges replicated.

    Broad blurs work on a halved picture, and sums of shifted views replace a convolution, whose every new width of
    kernel cuDNN would measure anew.
    """
    if sigma > 2 and x.shape[-1] % 2 == 0 and x.shape[-1] > 8:
        half = blur(F.avg_pool2d(x, 2), sigma / 2)
        return F.interpolate(half, size=x.shape[-2:], mode="bilinear", align_corners=False)
    reach = min(int(2.5 * sigma) + 1, x.shape[-1] - 1)
    taps = [math.exp(-(tap**2) / (2 * sigma * sigma)) for tap in range(-reach, reach + 1)]
    for axis, pad in ((3, (reach, reach, 0, 0)), (2, (0, 0, reach, reach))):
        padded, length = F.pad(x, pad, mode="replicate"), x.shape[axis]
        x = padded.narrow(axis, 0, length) * (taps[0] / sum(taps))
        for shift, tap in enumerate(taps[1:], start=1):
            x.add_(padded.narrow(axis, shift, length), alpha=tap / sum(taps))
    return x
