"""Backgrounds that stand close behind people: hanging flags, curtains and gowns, and models on draped stands.

Everything here is alpha 0; it is what touches hair, shoulders and sleeves in portraits taken before a flag.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from training.cv_unet.fields import Sheet, ellipse, limb, rotate, step

_FLAGS = ((0.72, 0.09, 0.15), (0.93, 0.92, 0.90), (0.12, 0.14, 0.38), (0.85, 0.66, 0.15), (0.10, 0.42, 0.24))


def _dye(sheet: Sheet) -> Tensor:
    """[B, 3, 1, 1]: the colours that flags have, as often as any other, faded or lit differently."""
    table = torch.tensor(_FLAGS, device=sheet.device)
    chosen = table[torch.randint(len(table), (sheet.batch,), device=sheet.device)].view(-1, 3, 1, 1)
    return torch.where(sheet.chance(0.65) > 0, chosen * sheet.between(0.5, 1.1), sheet.color())


def flag(sheet: Sheet, middle: Tensor | None = None, dye: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Cloth that hangs in soft folds, [B, 3, S, S] and its coverage: stripes bent to chevrons, a field of stars,
    a fringe, at times the pole; often down to the lower edge and behind the middle of the picture.

    `middle` [B, 1, 1, 1]: where across the picture, 0..1, and `dye` [B, 3, 1, 1]: one of its colours; else any.
    """
    middle = sheet.between(0.05, 0.95) if middle is None else middle
    x, y = rotate(sheet.x - middle, sheet.y, sheet.normal(0.12))
    # Pleats fan out from where the cloth is gathered.
    fan = 1 / (1 + (y - sheet.between(-0.6, 0)).clamp(min=0) * sheet.between(0, 1.5))
    wander = sheet.noise((3, 5)) * sheet.between(0.1, 0.6)
    phase = x * fan * sheet.between(15, 60) + wander + sheet.between(0, 6)
    pleat = torch.sin(phase) + 0.35 * torch.sin(phase * 2.3 + sheet.between(0, 6))
    # A stripe climbs and falls with the pleats it runs over: a gathered flag shows chevrons.
    run = torch.asin(torch.sin(phase * sheet.between(0.2, 0.6)).clamp(-0.999, 0.999)) * sheet.between(0, 0.16)
    lean = sheet.between(-1.5, 1.5)
    lane = ((x * torch.sin(lean) + y * torch.cos(lean) + run) * sheet.between(3, 13) + sheet.between(0, 1)) * math.pi
    stripes = torch.sigmoid(torch.sin(lane) * sheet.between(8, 40))
    first, second = _dye(sheet) if dye is None else dye, _dye(sheet)
    cloth = torch.lerp(first.expand(-1, 3, sheet.size, sheet.size), second, stripes * sheet.chance(0.75))
    cell = sheet.between(0.05, 0.14)
    sx, sy = (torch.remainder(axis / cell, 1) - 0.5 for axis in (x + run, y + x * sheet.normal(0.3)))
    star = ellipse(sx, sy, 0.3, 0.3) + 0.35 * torch.cos(5 * torch.atan2(sx, sy))
    spangled = torch.lerp(_dye(sheet).expand_as(cloth), _dye(sheet), sheet.cover(star, 1.5)[0])
    cloth = torch.where((y + run < sheet.between(-0.1, 0.6)) & (sheet.chance(0.35) > 0), spangled, cloth)
    cloth = cloth * (1 + pleat * sheet.between(0.05, 0.3)) * (1 + 0.15 * sheet.noise((2, 7)))

    wide, flare = sheet.between(0.04, 0.3), sheet.between(-0.05, 0.35)
    edge = x.abs() - wide - flare * y.clamp(min=0) - sheet.noise((6, 3)) * 0.012
    edge = torch.maximum(edge, y - sheet.between(0.5, 1.8) + pleat * 0.01 + x * sheet.normal(0.5))
    edge = torch.maximum(edge, sheet.between(-1.5, 0.35) - y)
    cover = sheet.cover(edge, sheet.between(1, 5))[0]
    fringe = step(0, 0.004, edge + sheet.between(0.008, 0.03)) * sheet.chance(0.35)
    threads = 0.65 + 0.35 * torch.sin(sheet.y * sheet.between(250, 600) + x * 40)
    gold = torch.tensor(_FLAGS[3], device=sheet.device).view(1, 3, 1, 1) * sheet.between(0.6, 1.3)
    cloth = torch.lerp(cloth, gold * threads, fringe)
    pole = (x - sheet.between(-0.1, 0.1)).abs() - sheet.between(0.004, 0.016)
    stick = sheet.cover(pole, 1.5)[0] * sheet.chance(0.3)
    wood = sheet.color() * (1 + torch.tanh(pole * 200) * 0.5)
    return torch.lerp(cloth, wood, stick), torch.maximum(cover, stick)


def beside(sheet: Sheet, person: Tensor) -> Tensor:
    """[B, 4, S, S]: a flag and its coverage right behind the outline of the lower half of `person` (premultiplied RGB
    and alpha), mostly in a colour close to what is worn there: folds and outline alone tell them apart."""
    lower = person[:, :, sheet.size // 2 :]
    weight = lower[:, 3:]
    total = weight.sum((2, 3), keepdim=True) + 1
    across = (weight * sheet.x).sum((2, 3), keepdim=True) / total
    # Half the width of what is even from side to side is √3 of its standard deviation.
    half = (3 * (weight * (sheet.x - across) ** 2).sum((2, 3), keepdim=True) / total).sqrt()
    side = 1 - 2 * sheet.chance(0.5)
    worn = lower[:, :3].sum((2, 3), keepdim=True) / total * (1 + sheet.normal(0.2)) * (1 + sheet.normal(0.07, 3))
    dye = torch.where(sheet.chance(0.65) > 0, worn.clamp(0, 1), _dye(sheet))
    paint, cover = flag(sheet, across + side * (half + sheet.between(-0.1, 0.15)), dye)
    return torch.cat([paint, cover], dim=1)


def stand(sheet: Sheet) -> tuple[Tensor, Tensor]:
    """A draped or dark table beside the figure with a model on it, [B, 3, S, S] and its coverage: tubes with pointed
    ends and fins, a globe, a bust's block."""
    middle, top, wide = sheet.between(-0.05, 1.05), sheet.between(0.35, 0.95), sheet.between(0.08, 0.4)
    x, y = sheet.x - middle, sheet.y - top
    table = torch.maximum(x.abs() - wide - y * sheet.between(-0.05, 0.25), -y)
    folds = torch.sin(x * sheet.between(20, 110) + sheet.noise(4)) * sheet.between(0, 0.3) * step(0, 0.05, y)
    board = sheet.color() * torch.where(sheet.chance(0.5) > 0, sheet.between(0.02, 0.3), 1.0)
    body = torch.zeros(sheet.batch, 3, sheet.size, sheet.size, device=sheet.device) + board
    board_cover = sheet.cover(table, 1.5)[0]
    body = body * (1 + folds) * (1 - 0.4 * torch.exp(-(((y - 0.02) / 0.01) ** 2)))
    tall = sheet.between(0.1, 0.6)
    model_cover = torch.zeros_like(board_cover)
    zero = torch.zeros_like(tall)
    for _ in range(3):  # tubes side by side, one before the other
        at_x, high, thick = sheet.normal(0.05), tall * sheet.between(0.4, 1), 10 ** sheet.between(-2.1, -1.1)
        tube = limb(x, y, (at_x, zero), (at_x + sheet.normal(0.02), -high), thick, thick * sheet.between(0.2, 1.1))
        part, nx, _ = sheet.cover(tube, 1.5)
        part = part * sheet.chance(0.7)
        shade = 1 + nx * sheet.normal(0.4) * torch.exp(tube.clamp(max=0) / (0.5 * thick))
        rings = step(0.8, 0.9, torch.sin(y * sheet.between(20, 120))) * sheet.chance(0.4)
        paint = torch.lerp(sheet.color(0.7) * shade, sheet.color(), rings)
        body, model_cover = torch.lerp(body, paint, part), torch.maximum(model_cover, part)
    fin = torch.maximum(x.abs() + y * sheet.between(0.3, 1.2) - 0.02, torch.maximum(y, -y - tall * 0.4))
    part = sheet.cover(fin, 1.5)[0] * sheet.chance(0.4)
    body, model_cover = torch.lerp(body, sheet.color(0.5), part), torch.maximum(model_cover, part)
    shown = sheet.chance(0.75)
    return body, torch.maximum(board_cover, model_cover * shown)


def hang(sheet: Sheet, ground: Tensor, share: float) -> Tensor:
    """`ground` [B, 3, S, S], a `share` of the pictures with flags or a stand before it, and their soft shadows."""
    chosen = sheet.chance(share)
    for draw, chance in ((flag, 0.8), (flag, 0.3), (stand, 0.4)):
        if random.random() < chance:
            paint, over = draw(sheet)
            over = over * chosen * sheet.chance(0.8)
            shift = random.randint(-sheet.size // 25, sheet.size // 25)
            shade = 1 - over.roll((sheet.size // 50, shift), (2, 3)) * sheet.between(0, 0.5)
            ground = torch.lerp(ground * shade, paint, over)
    return ground
