"""Procedural people with exact alpha: bodies, limbs, what they hold; heads.py draws what is above the neck.

All lengths are in units of half a face's width; the origin is the middle of the head, y points down. A figure is a
stack of layers, each an implicit shape with its own colour and shading, composited onto premultiplied colour.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from training.cv_unet import carried, heads
from training.cv_unet.fields import Sheet, box, ellipse, limb, melt, rotate, step
from training.cv_unet.scenes import texture


@dataclass
class Layers:
    """What is drawn so far: `color` premultiplied [B, 3, S, S], `alpha` [B, 1, S, S]."""

    color: Tensor
    alpha: Tensor

    def over(self, color: Tensor, cover: Tensor) -> None:
        self.color = torch.lerp(self.color, color.expand_as(self.color), cover)
        self.alpha = self.alpha + cover * (1 - self.alpha)


@dataclass
class Stance:
    """Where the figure stands and how it is lit; everything [B, 1, 1, 1] but the fields x and y [B, 1, S, S]."""

    x: Tensor
    y: Tensor
    unit: Tensor  # pixels of one unit
    soft: Tensor  # width in pixels of a hard edge
    light: tuple[Tensor, Tensor]
    relief: Tensor

    def shaded(self, color: Tensor, shape: Tensor, nx: Tensor, ny: Tensor, roundness: float) -> Tensor:
        """`color` lit from the side: brighter or darker towards the outline of `shape` (in units, negative inside)."""
        rim = torch.exp(shape.clamp(max=0) / roundness)
        return color * (1 + self.relief * (nx * self.light[0] + ny * self.light[1]) * rim - 0.12 * self.relief * rim)


def _stand(sheet: Sheet) -> Stance:
    """Head and shoulders most often, then half figures, close-ups, small people."""
    pick, size = sheet.between(0, 1), sheet.between(0, 1)
    half_face = 0.078 + 0.112 * size
    half_face = torch.where(pick > 0.66, 0.05 + 0.04 * size, half_face)
    half_face = torch.where(pick > 0.81, 0.024 + 0.028 * size, half_face)
    half_face = torch.where(pick > 0.88, 0.18 + 0.12 * size, half_face)
    centre_x = 0.5 + sheet.normal(0.13).clamp(-0.42, 0.42)
    room = torch.where(half_face < 0.06, sheet.between(-0.1, 0.45), sheet.between(-0.1, 0.2))
    centre_y = 1.5 * half_face + room
    # A slow warp of the plane: no two outlines alike, nothing quite an ellipse.
    bend = sheet.noise(4, 2) * sheet.between(0, 0.1) + sheet.noise(9, 2) * sheet.between(0, 0.035)
    x = (sheet.x - centre_x) / half_face + bend[:, :1]
    y = (sheet.y - centre_y) / half_face + bend[:, 1:]
    unit = half_face * sheet.size
    angle = sheet.between(0, 6.2832)
    soft = sheet.between(0.8, 2.2)
    return Stance(x, y, unit, soft, (torch.cos(angle), torch.sin(angle)), sheet.between(0.05, 0.65))


def cloth(sheet: Sheet, store: Tensor) -> Tensor:
    """[B, 3, S, S]: mostly plain, often patterned, with folds."""
    base = sheet.color()
    worn = torch.lerp(
        base.expand(-1, 3, sheet.size, sheet.size), texture(sheet, store), sheet.chance(0.45) * sheet.between(0.03, 1)
    )
    creased = sheet.noise(random.choice((6, 9, 14))) + sheet.noise((random.choice((4, 8)), 24)) * 0.6
    crease = torch.tanh(creased * 1.3) * sheet.between(0, 0.22)
    return worn * (1 + crease) + crease * 0.04


def _decals(sheet: Sheet, store: Tensor, paint: Tensor, x: Tensor, y: Tensor, count: int) -> Tensor:
    """Patches, pockets, straps, zips, hoses, ties and badges on `paint`; they change colour, never the outline."""
    for _ in range(count):
        tall = sheet.chance(0.45)
        dx, dy = rotate(
            x - sheet.normal(1.1),
            y - sheet.between(0.2, 5),
            sheet.normal(0.18) + sheet.normal(0.8) * sheet.chance(0.25),
        )
        width = torch.where(tall > 0, 10 ** sheet.between(-1.5, -0.3), 10 ** sheet.between(-0.9, 0))
        height = torch.where(tall > 0, 10 ** sheet.between(0, 0.9), width * sheet.between(0.3, 1.3))
        dx = dx + tall * torch.sin(dy * sheet.between(0.3, 1.2)) * sheet.between(0, 0.35)
        shape = torch.where(
            sheet.chance(0.35) * (1 - tall) > 0,
            ellipse(dx, dy, width, height) * torch.minimum(width, height),
            box(dx, dy, width, height, torch.minimum(width, height) * sheet.between(0.05, 0.8)),
        )
        part, nx, ny = sheet.cover(shape, 1.3)
        ink = torch.where(sheet.chance(0.3) > 0, texture(sheet, store), sheet.color().expand_as(paint))
        rim = torch.exp(-(((shape + 0.05) / 0.03) ** 2)) * sheet.chance(0.5)
        ink = torch.lerp(
            ink * (1 + 0.25 * (nx * sheet.normal(1) + ny) * torch.exp(shape.clamp(max=0) * 8)),
            sheet.color().expand_as(ink),
            rim,
        )
        paint = torch.lerp(paint, ink, part * sheet.chance(0.6))
    return paint


def figures(sheet: Sheet, store: Tensor, laden: float = 0.0) -> tuple[Tensor, Tensor]:
    """One person a picture: premultiplied colour float32 [B, 3, S, S] in 0..1 and alpha [B, 1, S, S] in 0..1.

    `laden`: the share of people, 0..1, in long or bulky dress with gear on it and something held (carried.py); at 0
    no dice are rolled for it, so that what a seed drew before there was gear it still draws.
    """
    at = _stand(sheet)
    layers = Layers(
        torch.zeros(sheet.batch, 3, sheet.size, sheet.size, device=sheet.device),
        torch.zeros(sheet.batch, 1, sheet.size, sheet.size, device=sheet.device),
    )
    head = heads.Head.draw(sheet, at.x, at.y, at.unit)
    neck_y = sheet.between(1.45, 2.1)
    # The body leans about the neck's foot, not with the head.
    bx, by = rotate(at.x - sheet.normal(0.15), at.y - neck_y, sheet.normal(0.1))
    load = sheet.chance(laden) if laden else None
    hem: Tensor | float = 0.0
    if load is not None:
        # A body large beside its head, in overalls or a gown: no hem, and so no end of it, before the frame's.
        bx, by = (axis / (1 + load * sheet.between(0, 0.3)) for axis in (bx, by))
        hem = load * sheet.between(0, 5)
    garment = cloth(sheet, store)

    head.behind(layers, at)
    _legs(sheet, store, layers, at, bx, by)
    shoulder = sheet.between(1.7, 3.0) + sheet.between(0, 1.6) * sheet.chance(0.3)  # coats, suits
    bulky = sheet.chance(0.35)  # overalls, down jackets, gowns: wider below than at the shoulder, and sleeves to match
    bulky = bulky if load is None else torch.maximum(bulky, load * sheet.chance(0.5))
    garment = torch.where(bulky > 0, _quilted(sheet, garment), garment)
    if load is not None:
        garment = torch.where(load * sheet.chance(0.6) > 0, carried.rumpled(sheet, garment), garment)
    torso = _torso(sheet, bx, by, shoulder, bulky, hem)
    _neck(sheet, store, layers, at, head, bx, by)
    _collar_behind(sheet, store, layers, at, bx, by) if random.random() < 0.4 else None
    part, nx, ny = sheet.cover(torso, at.soft)
    worn = at.shaded(garment, torso, nx, ny, 0.9)
    worn = _neckline(sheet, worn, head, bx, by)
    worn = _decals(sheet, store, worn, bx, by, random.randint(3, 9))
    under_chin = torch.exp(-(ellipse(bx, by + 0.1, 1.0, 0.7).clamp(min=0) * 2)) * sheet.between(0, 0.5)
    layers.over(worn * (1 - under_chin), part)
    if load is not None:
        carried.worn(sheet, layers, at, bx, by, part * load)
    if random.random() < 0.5:
        _ring(sheet, store, layers, at, head, bx, by)
    head.front(layers, at)
    if random.random() < 0.35:
        _belonging(sheet, store, layers, at, bx, by)
    under_arms = load is not None and random.random() < 0.5
    if load is not None and under_arms:
        carried.held(sheet, layers, at, head.skin, bx, by, load)
    for side in (-1.0, 1.0):
        _arm(sheet, store, layers, at, head, garment, bx, by, shoulder, bulky, side, load)
    if load is not None and not under_arms:
        carried.held(sheet, layers, at, head.skin, bx, by, load)
    light = (
        1
        + (sheet.x - 0.5) * sheet.between(-0.6, 0.6)
        + (sheet.y - 0.5) * sheet.between(-0.5, 0.5)
        + sheet.noise(3) * sheet.between(0, 0.08)
    )
    color = torch.minimum((layers.color * light).clamp(min=0), layers.alpha)
    return color, layers.alpha


def _quilted(sheet: Sheet, garment: Tensor) -> Tensor:
    """Deep broad folds, and seams across them, that thick cloth throws: light and dark within one colour."""
    folds = torch.tanh((sheet.noise(random.choice((5, 9, 16))) + sheet.noise((24, 7)) * 0.5) * sheet.between(0.8, 2.5))
    seams = (torch.remainder(sheet.y * sheet.between(3, 16) + sheet.noise(5) * 0.15, 1) - 0.5).abs()
    dark = step(0, 0.06, 0.06 - seams) * sheet.between(0, 0.35) * sheet.chance(0.4)
    return garment * (1 + folds * sheet.between(0.05, 0.3)) * (1 - dark) + folds * 0.03


def _torso(sheet: Sheet, x: Tensor, y: Tensor, shoulder: Tensor, bulky: Tensor, hem: Tensor | float) -> Tensor:
    drop, bow = sheet.between(0.45, 1.5), sheet.between(0.28, 0.62)
    across = (x.abs() + x * sheet.normal(0.04)) + sheet.noise(14) * sheet.between(0, 0.05)
    top = y + 0.35
    slope = (top / drop).clamp(min=1e-4, max=1) ** bow
    waist = 1 - sheet.between(0, 0.35) * step(1, 4.5, y) + sheet.between(0, 0.35) * step(4.5, 7, y)
    waist = torch.where(bulky > 0, 1 + sheet.between(-0.1, 0.55) * step(0, 4, y), waist)
    reach = shoulder * slope * waist - (-top).clamp(min=0)
    return torch.maximum(across - reach, (y - sheet.between(5.5, 8) - hem) * 0.8)


def _neck(sheet: Sheet, store: Tensor, layers: Layers, at: Stance, head: heads.Head, x: Tensor, y: Tensor) -> None:
    width = sheet.between(0.42, 0.72)
    zero = torch.zeros_like(width)
    shape = limb(x, y, (zero, -sheet.between(1.0, 1.5)), (zero, zero + 0.5), width, width * sheet.between(1, 1.5))
    part, nx, ny = sheet.cover(shape, at.soft)
    shade = 1 - 0.45 * torch.exp(-((y + 0.9).clamp(min=0) * sheet.between(1, 4)))
    bare = head.skin * shade
    covered = torch.where(sheet.chance(0.5) > 0, cloth(sheet, store), sheet.color().expand_as(layers.color))
    high = step(0, 0.12, y + sheet.between(-0.2, 1.2) + x * sheet.normal(0.15)) * sheet.chance(0.35)
    layers.over(at.shaded(torch.lerp(bare, covered, high), shape, nx, ny, 0.4), part)


def _collar_behind(sheet: Sheet, store: Tensor, layers: Layers, at: Stance, x: Tensor, y: Tensor) -> None:
    """The inside of a wide collar, hood or neck ring: dark or lined, behind the chin, in front of the nape."""
    on = sheet.chance(0.45)
    cx, cy = rotate(x, y - sheet.between(-0.3, 0.35), sheet.normal(0.25))
    shape = ellipse(cx, cy, sheet.between(0.9, 2.0), sheet.between(0.45, 1.3))
    part, nx, ny = sheet.cover(shape, at.soft)
    lining = torch.where(sheet.chance(0.6) > 0, sheet.color() * sheet.between(0.02, 0.4), cloth(sheet, store))
    layers.over(at.shaded(lining, shape, nx, ny, 0.3), part * on)


def _neckline(sheet: Sheet, worn: Tensor, head: heads.Head, x: Tensor, y: Tensor) -> Tensor:
    """Open collars: a V or a round of skin or shirt, lapels beside it, a tie down the middle."""
    depth = sheet.between(0.3, 3.2)
    narrow = x.abs() - (depth - y) * sheet.between(0.15, 0.55)
    opening = torch.where(
        sheet.chance(0.6) > 0, narrow, ellipse(x, y + 0.2, sheet.between(0.6, 1.4), sheet.between(0.4, 1.3))
    )
    shirt = torch.where(sheet.chance(0.45) > 0, head.skin * 0.95, sheet.color().expand_as(worn))
    shirt = torch.lerp(
        shirt,
        sheet.color().expand_as(worn),
        step(0, 0.04, sheet.between(0.08, 0.25) * (1 + 0.15 * y) - x.abs()) * sheet.chance(0.3),
    )
    inside = step(0, 0.06, -opening) * sheet.chance(0.55)
    lapel = step(0, 0.05, sheet.between(0.1, 0.6) - opening) * step(0, 0.05, opening) * sheet.chance(0.35)
    worn = torch.lerp(worn, worn * sheet.between(0.5, 1.4) + sheet.color() * 0.1, lapel)
    return torch.lerp(worn, shirt, inside)


def _ring(sheet: Sheet, store: Tensor, layers: Layers, at: Stance, head: heads.Head, x: Tensor, y: Tensor) -> None:
    """A suit's neck ring, a scarf or a stand-up collar: an ellipse about the neck, filled, with a broad rim.

    The filling covers the nape and lies under the chin, which is drawn later: the dark gap between a neck and a wide
    ring belongs to the person.
    """
    on = sheet.chance(0.4)
    cx, cy = rotate(x, y - sheet.between(-0.35, 0.8), sheet.normal(0.3))
    rx = sheet.between(0.85, 2.6)
    ry = (rx * sheet.between(0.4, 0.85)).clamp(max=1.8)
    shape = ellipse(cx, cy, rx, ry)
    fill = torch.where(sheet.chance(0.65) > 0, sheet.color(0.4) * sheet.between(0.02, 0.5), cloth(sheet, store))
    fill = torch.lerp(
        fill,
        fill * 0.3 + sheet.color(0.3) * 0.7,
        torch.sigmoid(sheet.fractal(8, 3) * 4 - 2) * step(-0.6, -0.1, shape) * sheet.chance(0.6),
    )
    part, nx, ny = sheet.cover(shape, at.soft)
    # Some rings have nothing in them but the throat.
    hollow = sheet.chance(0.25)
    throat = sheet.cover(ellipse(x, y + 0.1, 0.6, 1.2), at.soft)[0]
    fill = torch.lerp(fill, head.skin * 0.7, throat * sheet.chance(0.4))
    kept = part * on * (1 - hollow * step(0.0, 0.1, -shape - 0.15) * (1 - throat))
    layers.over(fill, kept)
    thick = sheet.between(0.05, 0.22)
    band = (shape + thick).abs() - thick
    rim, nx, ny = sheet.cover(band, at.soft)
    glint = 1 + 0.5 * torch.sin(cx * sheet.between(0.5, 3) + cy * sheet.between(0.5, 3)) * sheet.chance(0.6)
    metal = sheet.color(0.5) * glint * (1 + 0.5 * torch.sin(shape / thick * 2.2) * sheet.chance(0.6))
    metal = torch.where(sheet.chance(0.25) > 0, cloth(sheet, store), metal)
    layers.over(at.shaded(metal, band, nx, ny, 0.1), rim * on)
    outer = (shape - thick).abs() - thick * sheet.between(0.4, 1.2)
    lower, nx, ny = sheet.cover(torch.maximum(outer, -(cy + ry * 0.1)), at.soft)
    layers.over(at.shaded(sheet.color(0.7).expand_as(layers.color), outer, nx, ny, 0.1), lower * on * sheet.chance(0.5))


def _legs(sheet: Sheet, store: Tensor, layers: Layers, at: Stance, x: Tensor, y: Tensor) -> None:
    trousers = cloth(sheet, store)
    for side in (-1.0, 1.0):
        hip = (side * sheet.between(0.6, 1.0), sheet.between(5.8, 6.6))
        foot = (side * sheet.between(0.5, 1.8), sheet.between(13, 15))
        shape = limb(x, y, hip, foot, sheet.between(0.8, 1.15), sheet.between(0.35, 0.7))
        shape = torch.minimum(shape, ellipse(x - foot[0] - side * 0.25, y - foot[1] - 0.3, 0.8, 0.4) * 0.4)
        part, nx, ny = sheet.cover(shape, at.soft)
        layers.over(at.shaded(trousers, shape, nx, ny, 0.4), part)


def _arm(
    sheet: Sheet, store: Tensor, layers: Layers, at: Stance, head: heads.Head, garment: Tensor,
    x: Tensor, y: Tensor, shoulder: Tensor, bulky: Tensor, side: float, load: Tensor | None,
) -> None:  # fmt: skip
    """Upper arm, forearm, what the hand holds, hand; hanging, bent before the body, on the hip or raised."""
    shown = torch.maximum(sheet.chance(0.78), bulky)
    lifted = sheet.chance(0.12)
    first = torch.where(lifted > 0, sheet.between(0.7, 2.4), sheet.between(-0.15, 0.8))
    second = torch.where(sheet.chance(0.5) > 0, first + sheet.normal(0.25), sheet.between(-2.7, -0.4))
    second = torch.where(lifted > 0, first + sheet.between(-0.3, 1.4), second)
    akimbo = bulky * sheet.chance(0.5) * (1 - lifted)  # elbows out, hands before the body
    first = torch.where(akimbo > 0, sheet.between(0.2, 0.8), first)
    second = torch.where(akimbo > 0, sheet.between(-1.7, -0.2), second)
    thick = sheet.between(0.42, 1.05) * (shoulder / 2.5).clamp(0.8, 1.6) * (1 + bulky * sheet.between(0, 0.5))
    root = (
        side * (shoulder - thick * sheet.between(0.8, 1.2)),
        sheet.between(0.45, 1.1) + (thick - 0.8).clamp(min=0) * 0.9,
    )
    upper, lower = sheet.between(2.3, 3.2), sheet.between(2.0, 2.8)
    elbow = (root[0] + side * upper * torch.sin(first), root[1] + upper * torch.cos(first))
    wrist = (elbow[0] + side * lower * torch.sin(second), elbow[1] + lower * torch.cos(second))
    thin = thick * torch.maximum(sheet.between(0.5, 0.85), bulky * sheet.between(0.6, 1.05))
    shape = melt(limb(x, y, root, elbow, thick, thick * 0.85), limb(x, y, elbow, wrist, thick * 0.85, thin), 0.2)
    shape = shape + sheet.noise(14) * sheet.between(0, 0.06) * (1 + bulky)
    part, nx, ny = sheet.cover(shape, at.soft)
    bare = step(0, 0.1, ((x - root[0]) ** 2 + (y - root[1]) ** 2 + 1e-6).sqrt() - sheet.between(0.8, 5))
    sleeve = torch.lerp(garment, head.skin, bare * sheet.chance(0.22) * (1 - bulky))
    sleeve = _decals(sheet, store, sleeve, x - elbow[0], y - root[1], random.randint(0, 2))
    if load is not None:
        sleeve = carried.sleeve(sheet, sleeve, load)
        carried.cleft(sheet, layers, shape, load * shown)
    layers.over(at.shaded(sleeve, shape, nx, ny, 0.35), part * shown)

    along_x, along_y = side * torch.sin(second), torch.cos(second)
    palm = (wrist[0] + along_x * 0.45, wrist[1] + along_y * 0.45)
    if random.random() < 0.5:
        _held(sheet, store, layers, at, x - palm[0] - along_x * 0.3, y - palm[1], shown * sheet.chance(0.4))
    reach = sheet.between(0.5, 1.0)
    hand = limb(x, y, wrist, (palm[0] + along_x * 0.2, palm[1] + along_y * 0.2), thin * 0.7, sheet.between(0.3, 0.45))
    for finger in range(3):
        spread = second + (finger - 1) * sheet.between(0.15, 0.45) + sheet.normal(0.2)
        tip = (palm[0] + side * torch.sin(spread) * reach, palm[1] + torch.cos(spread) * reach)
        hand = torch.minimum(hand, limb(x, y, palm, tip, torch.full_like(reach, 0.17), torch.full_like(reach, 0.11)))
    part, nx, ny = sheet.cover(hand, at.soft)
    glove = torch.where(sheet.chance(0.15) > 0, sheet.color().expand_as(layers.color), head.skin)
    layers.over(at.shaded(glove, hand, nx, ny, 0.15), part * shown)
    if random.random() < 0.4:  # a cuff
        cuff = limb(x, y, (wrist[0] - along_x * 0.2, wrist[1] - along_y * 0.2), wrist, thin * 1.05, thin * 1.1)
        part, nx, ny = sheet.cover(cuff, at.soft)
        layers.over(
            at.shaded(sheet.color().expand_as(layers.color), cuff, nx, ny, 0.2), part * shown * sheet.chance(0.5)
        )


def _held(sheet: Sheet, store: Tensor, layers: Layers, at: Stance, x: Tensor, y: Tensor, on: Tensor) -> None:
    """Something in the hand, which counts as the person: cup, book, telephone, ball, helmet, board."""
    dx, dy = rotate(x - sheet.normal(0.25), y - sheet.normal(0.25), sheet.normal(0.5))
    width, height = 10 ** sheet.between(-0.6, 0.4), 10 ** sheet.between(-0.5, 0.4)
    round_one = ellipse(dx, dy, width, width * sheet.between(0.8, 1.2)) * width
    boxed = box(dx, dy, width, height, torch.minimum(width, height) * sheet.between(0.05, 0.9))
    shape = torch.where(sheet.chance(0.4) > 0, round_one, boxed)
    part, nx, ny = sheet.cover(shape, at.soft)
    paint = torch.where(sheet.chance(0.3) > 0, texture(sheet, store), sheet.color().expand_as(layers.color))
    paint = paint * (
        1 + (nx * at.light[0] + ny * at.light[1]) * torch.exp(shape.clamp(max=0) / (0.4 * width)) * at.relief
    )
    shine = torch.exp(
        -(((dx / width - sheet.between(-0.5, 0.5)) ** 2 + (dy / width + sheet.between(0, 0.6)) ** 2) * 25)
    )
    layers.over(paint + shine * sheet.chance(0.35) * 0.8, part * on)


def _belonging(sheet: Sheet, store: Tensor, layers: Layers, at: Stance, x: Tensor, y: Tensor) -> None:
    """A bag at the side, a rucksack strap, a scarf's end, a lanyard: outline and all the person's."""
    on = sheet.chance(0.4)
    dx, dy = rotate(x - sheet.between(-1.7, 1.7), y - sheet.between(2, 6), sheet.normal(0.3))
    shape = box(dx, dy, sheet.between(0.2, 1.5), sheet.between(0.4, 1.6), sheet.between(0.05, 0.2))
    part, nx, ny = sheet.cover(shape, at.soft)
    layers.over(at.shaded(cloth(sheet, store), shape, nx, ny, 0.4), part * on)
