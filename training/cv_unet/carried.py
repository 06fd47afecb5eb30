"""What people wear over their clothes and hold before them, mostly low and often cut by the picture's lower edge.

All of it is the person's, alpha 1: straps, hoses, rings, a lap of other cloth change what the body looks like down to
the frame, a helmet, a case or a bag changes its outline, too. What merely stands before somebody (a desk, a fence) is
not drawn, since no convention says whose it is.

Units and axes as in figures.py, turned with the body: y is 0 at the neck's foot. `on` [B, 1, 1, 1] or a coverage.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from training.cv_unet.fields import Sheet, ellipse, limb, rotate, step
from training.cv_unet.scenes import pattern

if TYPE_CHECKING:
    from training.cv_unet.figures import Layers, Stance


def stuff(sheet: Sheet) -> Tensor:
    """[B, 3, 1, 1]: the colour of gear rather than of clothes: black, white and metal as often as any other."""
    kind = sheet.between(0, 1)
    tint = 1 + sheet.normal(0.05, 3)
    colour = torch.where(kind < 0.3, sheet.between(0.01, 0.12) * tint, sheet.color())
    colour = torch.where(kind > 0.55, sheet.between(0.35, 0.75) * tint, colour)
    return torch.where(kind > 0.72, sheet.between(0.8, 1) * tint, colour).clamp(0, 1)


def rumpled(sheet: Sheet, garment: Tensor) -> Tensor:
    """`garment` [B, 3, S, S] in folds like those of a curtain: pleats here and there and sharp creases, so that folds
    alone do not say what hangs behind and what is worn."""
    x, _ = rotate(sheet.x - 0.5, sheet.y - 0.5, sheet.between(0, 3.1))
    pleat = torch.sin((x + sheet.noise(5) * sheet.between(0.01, 0.08)) * sheet.between(15, 80))
    pleat = pleat * (0.6 + 0.4 * torch.tanh(sheet.noise(4) * 2))
    crease = torch.exp(-((sheet.noise((7, 11)) * 5) ** 2)) * torch.tanh(sheet.noise(6) * 2)
    return garment * (1 + pleat * sheet.between(0, 0.28) - crease * sheet.between(0, 0.4))


def sleeve(sheet: Sheet, garment: Tensor, on: Tensor) -> Tensor:
    """`garment` [B, 3, S, S] as one arm shows it: lit otherwise than the chest, at times of other stuff."""
    lit = torch.where(sheet.chance(0.25) > 0, torch.lerp(garment, stuff(sheet), sheet.between(0.4, 1)), garment)
    return torch.where(on * sheet.chance(0.6) > 0, lit * sheet.between(0.5, 1.4), garment)


def cleft(sheet: Sheet, layers: Layers, limb_shape: Tensor, on: Tensor) -> None:
    """The dark gap between a limb and the body behind it: a dark line inside the outline."""
    shade = torch.exp(-limb_shape.clamp(min=0) * sheet.between(3, 14)) * sheet.between(0, 0.9)
    layers.color = layers.color * (1 - shade * on * sheet.chance(0.6))


def worn(sheet: Sheet, layers: Layers, at: Stance, x: Tensor, y: Tensor, body: Tensor) -> None:
    """A lap of other cloth, straps, a belt and fittings on the torso, whose coverage `body` they never leave."""
    if random.random() < 0.7:
        _lap(sheet, layers, x, y, body * sheet.chance(0.6))
    for _ in range(random.randint(1, 3)):
        _strap(sheet, layers, at, x, y, body * sheet.chance(0.7))
    for _ in range(random.randint(2, 4)):
        _fitting(sheet, layers, at, x, y, body * sheet.chance(0.75))


def held(sheet: Sheet, layers: Layers, at: Stance, skin: Tensor, x: Tensor, y: Tensor, on: Tensor) -> None:
    """Hoses, then a helmet, case, folder or bag before the lower body, seldom two, with a hand on it at times."""
    if random.random() < 0.4:
        _hose(sheet, layers, at, x, y, on * sheet.chance(0.5))
    for chance in (0.75, 0.25):
        if random.random() < chance + 0.15:
            _bulk(sheet, layers, at, skin, x, y, on * sheet.chance(chance))


def _low(sheet: Sheet, y: Tensor) -> Tensor:
    """[B, 1, 1, 1]: a height in the lower half of what the picture shows of the body, or a little below the frame."""
    edge = y[:, :, -1:].mean(3, keepdim=True).clamp(2.5, 8)
    return edge * sheet.between(0.55, 1.08)


def _lap(sheet: Sheet, layers: Layers, x: Tensor, y: Tensor, on: Tensor) -> None:
    """An apron, a blanket, a harness's seat, a life jacket's lower half: another cloth below a slanting line."""
    line = _low(sheet, y) + x * sheet.normal(0.25) + x * x * sheet.normal(0.06)
    mix = pattern(sheet) * sheet.chance(0.5)
    paint = torch.lerp(stuff(sheet).expand_as(layers.color), stuff(sheet), mix)
    paint = paint * (1 + torch.tanh(sheet.noise((9, 14))) * sheet.between(0.05, 0.3))
    below = step(0, 0.06, y - line)
    hem = torch.exp(-(((y - line) / 0.08) ** 2)) * sheet.between(0, 0.6)
    layers.color = torch.lerp(layers.color, paint * (1 - hem), below * on)


def _strap(sheet: Sheet, layers: Layers, at: Stance, x: Tensor, y: Tensor, on: Tensor) -> None:
    """Webbing down or across the chest, mirrored as braces or single, or a belt."""
    level = sheet.chance(0.3)
    turned = torch.where(level > 0, 1.57 + sheet.normal(0.08), sheet.normal(0.3))
    paired = torch.where((sheet.chance(0.4) > 0) & (level == 0), x.abs() - sheet.between(0.4, 1.4), x)
    along = torch.where(level > 0, _low(sheet, y), sheet.between(1.0, 4.5))
    dx, dy = rotate(paired + sheet.normal(0.5) * (1 - level), y - along, turned)
    wide = 10 ** sheet.between(-1.25, -0.4)
    long = torch.where(level > 0, 9.0, sheet.between(1.0, 6.0))
    shape = torch.maximum((dx + sheet.noise(3) * 0.05).abs() - wide, dy.abs() - long)
    part, nx, ny = sheet.cover(shape, at.soft)
    paint = stuff(sheet) * (1 - 0.5 * torch.exp(-(((shape + 0.05) / 0.025) ** 2)) * sheet.chance(0.5))
    weave = torch.sin(dy * sheet.between(6, 60)) * sheet.between(0, 0.2)
    cast = torch.exp(-shape.clamp(min=0) * 9) * sheet.between(0, 0.5)
    layers.color = layers.color * (1 - cast * on)
    layers.color = torch.lerp(layers.color, at.shaded(paint * (1 + weave), shape, nx, ny, 0.08), part * on)


def _fitting(sheet: Sheet, layers: Layers, at: Stance, x: Tensor, y: Tensor, on: Tensor) -> None:
    """A connector ring, valve, buckle, dial, lamp or plate: concentric bands of metal and colour, glossy."""
    dx, dy = rotate(x - sheet.normal(1.2), y - _low(sheet, y), sheet.between(0, 3.1))
    size = 10 ** sheet.between(-0.8, -0.05)
    bands = sheet.between(0.3, 3.2)
    square = 2 ** sheet.between(1, 2.6)
    radius = ((dx.abs() / size) ** square + (dy.abs() / (size * sheet.between(0.5, 1))) ** square + 1e-6) ** (
        1 / square
    )
    part, nx, ny = sheet.cover(radius - 1, at.soft)
    inner = step(-0.15, 0.15, torch.sin(radius * bands * 3.14 + sheet.between(0, 6)))
    paint = torch.lerp(stuff(sheet).expand_as(layers.color), stuff(sheet), inner)
    gleam = 1 + 0.7 * torch.cos(2 * torch.atan2(dy, dx) + sheet.between(0, 6)) * sheet.chance(0.6)
    cast = torch.exp(-(radius - 1).clamp(min=0) * 5) * sheet.between(0, 0.6)
    layers.color = layers.color * (1 - cast * on)
    layers.color = torch.lerp(layers.color, at.shaded(paint * gleam, (radius - 1) * size, nx, ny, 0.1), part * on)


def _hose(sheet: Sheet, layers: Layers, at: Stance, x: Tensor, y: Tensor, on: Tensor) -> None:
    """A ribbed or smooth tube, or a cable, that hangs from the chest in a bow, often out of the picture."""
    top = sheet.between(1.0, 4.0)
    bow = sheet.normal(0.9) * torch.sin((y - top) * sheet.between(0.3, 0.9))
    thick = 10 ** sheet.between(-1.2, -0.5)
    ends = torch.maximum(top - y, y - top - sheet.between(1.5, 6))
    shape = torch.maximum((x - sheet.normal(0.9) - bow).abs() - thick, ends)
    part, nx, ny = sheet.cover(shape, at.soft)
    ribs = torch.sin(y * sheet.between(10, 40)) * sheet.between(0, 0.5) * sheet.chance(0.6)
    shine = torch.exp(-(((shape + thick * sheet.between(0.5, 1.5)) / (0.35 * thick)) ** 2)) * sheet.between(0, 0.7)
    layers.over(at.shaded(stuff(sheet) * (1 + ribs) + shine, shape, nx, ny, 0.1), part * on)


def _bulk(sheet: Sheet, layers: Layers, at: Stance, skin: Tensor, x: Tensor, y: Tensor, on: Tensor) -> None:
    """From ball and helmet to case and folder: one superellipse, a second colour on part of it, reflections, a grip."""
    wide = 10 ** sheet.between(-0.3, 0.42)
    tall = wide * sheet.between(0.55, 1.35)
    square = 2 ** sheet.between(1, 3.2)
    # Before the belly, or under an arm, where it goes on beside the body.
    aside = (1 - 2 * sheet.chance(0.5)) * (sheet.between(0.8, 1.6) + 0.6 * wide)
    cx = torch.where(sheet.chance(0.35) > 0, aside, sheet.normal(0.9))
    cy = _low(sheet, y) + tall * sheet.between(-0.3, 0.6)
    dx, dy = rotate(x - cx, y - cy, sheet.normal(0.3))
    u, v = dx / wide, dy / tall
    radius = (u.abs() ** square + v.abs() ** square + 1e-6) ** (1 / square)
    shape = (radius - 1) * torch.minimum(wide, tall)
    # A strap from it to a shoulder, or a grip above it.
    thin = 10 ** sheet.between(-1.3, -0.7)
    strap = limb(x, y, (cx, cy), (sheet.between(-1.6, 1.6), sheet.between(0, 0.6)), thin, thin)
    grip = (ellipse(dx, dy + tall, wide * sheet.between(0.25, 0.7), tall * sheet.between(0.15, 0.5)) * 0.3).abs() - 0.06
    kind = sheet.between(0, 1)
    extra = torch.where(kind < 0.25, strap, torch.where(kind < 0.5, grip, shape))
    part, nx, ny = sheet.cover(extra, at.soft)
    layers.over(at.shaded(stuff(sheet).expand_as(layers.color), extra, nx, ny, 0.06), part * on)
    cast = torch.exp(-shape.clamp(min=0) * 4) * sheet.between(0, 0.5) * on
    layers.color = layers.color * (1 - cast)

    part, nx, ny = sheet.cover(shape, at.soft)
    # A crown, a lid, a label, a rim or a window: where the second colour lies.
    zone = sheet.between(0, 1)
    lid = v + sheet.between(-0.3, 0.9) + u * u * sheet.between(-0.6, 0.6) + u * sheet.normal(0.5)
    edge = torch.where(zone < 0.45, lid, sheet.between(0.55, 0.95) - radius)
    edge = torch.where(zone > 0.75, (u - sheet.normal(0.3)).abs() - sheet.between(0.1, 0.4), edge)
    paint = torch.lerp(stuff(sheet).expand_as(layers.color), stuff(sheet), step(-0.03, 0.03, -edge))
    seam = torch.exp(-((edge / sheet.between(0.02, 0.07)) ** 2)) * sheet.between(0, 0.8)
    paint = paint * (1 - seam)
    mottle = pattern(sheet) * sheet.chance(0.25)
    paint = torch.lerp(paint, stuff(sheet), mottle * sheet.between(0.2, 1))
    # What stands about is mirrored in gloss: a horizon, bright windows.
    gloss = sheet.between(0, 1) * sheet.chance(0.65)
    mirrored = torch.tanh((v + u * u * sheet.between(0, 0.6) + sheet.noise(5) * 0.15) * 4) * sheet.between(-0.18, 0.18)
    for _ in range(2):
        wx, wy = rotate(u - sheet.normal(0.35), v - sheet.between(-0.8, 0.3), sheet.normal(0.3))
        pane = torch.maximum(wx.abs() / sheet.between(0.04, 0.2), wy.abs() / sheet.between(0.04, 0.3)) - 1
        mirrored = mirrored + torch.sigmoid(-pane * sheet.between(2, 20)) * sheet.between(0, 0.9) * sheet.chance(0.6)
    layers.over(at.shaded(paint, shape, nx, ny, 0.5) + mirrored * gloss, part * on)

    hand = sheet.chance(0.4) * on
    side = 1 - 2 * sheet.chance(0.5)
    wrist = (side * sheet.between(0.7, 1.1), sheet.between(0, 1))
    palm = (side * sheet.between(0.2, 0.6), sheet.between(0, 0.8))
    grasp = limb(u, v, wrist, palm, sheet.between(0.2, 0.35), sheet.between(0.12, 0.25))
    grasp = grasp + 0.05 * torch.sin(v * sheet.between(12, 25))  # fingers, roughly
    part, nx, ny = sheet.cover(grasp, at.soft)
    glove = torch.where(sheet.chance(0.5) > 0, stuff(sheet).expand_as(layers.color), skin)
    layers.over(at.shaded(glove, grasp, nx, ny, 0.15), part * hand)
