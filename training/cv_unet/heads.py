"""Heads of procedural people: skin, features, hair of many styles, beards, glasses, hats and helmets.

Units and axes as in figures.py. Hair is the one thing with a soft edge, and its edge is exact too: strands are part
of the alpha that is drawn.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from training.cv_unet.fields import Sheet, box, ellipse, limb, melt, rotate, step

if TYPE_CHECKING:
    from training.cv_unet.figures import Layers, Stance

_SKIN = ((0.95, 0.80, 0.71), (0.84, 0.62, 0.49), (0.62, 0.42, 0.30), (0.34, 0.21, 0.15))
_HAIR = (
    (0.06, 0.05, 0.05),
    (0.22, 0.14, 0.09),
    (0.45, 0.30, 0.17),
    (0.75, 0.60, 0.36),
    (0.50, 0.22, 0.10),
    (0.78, 0.77, 0.75),
)


def _between_tones(sheet: Sheet, tones: tuple[tuple[float, float, float], ...]) -> Tensor:
    """[B, 3, 1, 1]: a tone on the way from one of `tones` to the next."""
    table = torch.tensor(tones, device=sheet.device)
    place = torch.rand(sheet.batch, device=sheet.device) * (len(tones) - 1)
    low = place.long()
    mixed = torch.lerp(table[low], table[low + 1], (place - low).unsqueeze(1))
    return mixed.view(-1, 3, 1, 1)


@dataclass
class Head:
    """One head a picture, in its own tilted axes `x`, `y`; `skin` is [B, 3, S, S], colours 0..1."""

    sheet: Sheet
    x: Tensor
    y: Tensor
    skin: Tensor
    hair: Tensor
    mass: Tensor  # implicit shape of all the hair
    turn: Tensor  # -1..1, how far the face looks aside
    bald: Tensor
    soft: Tensor  # pixels over which the hair's edge fades

    @classmethod
    def draw(cls, sheet: Sheet, x: Tensor, y: Tensor, unit: Tensor) -> Head:
        tilt = sheet.normal(0.13)
        hx, hy = rotate(x, y - 1.2, tilt)
        hy = hy + 1.2
        tone = _between_tones(sheet, _SKIN) * sheet.between(0.75, 1.1) + sheet.normal(0.025, 3)
        skin = tone * (1 + sheet.noise(10) * sheet.between(0, 0.05)) + sheet.noise(5, 3) * 0.012
        lock = torch.where(sheet.chance(0.07) > 0, sheet.color(), _between_tones(sheet, _HAIR)) * sheet.between(
            0.6, 1.15
        )
        streak = sheet.polar_noise(hx, hy + 1.2, random.choice((60, 120, 220)), 7, 4.0)
        fine = sheet.noise((random.choice((10, 40)), 160))
        hair = lock * (
            1
            + streak * sheet.between(0.08, 0.3)
            + fine * sheet.between(0, 0.2)
            + sheet.noise(7) * sheet.between(0, 0.2)
        )
        hair = torch.where(sheet.chance(0.05) > 0, sheet.color() * (1 + sheet.noise(8) * 0.1), hair)  # scarves, hoods
        soft = (unit * 10 ** sheet.between(-1.7, -0.75)).clamp(1.0, 14)
        return cls(
            sheet,
            hx,
            hy,
            skin,
            hair,
            _hair_mass(sheet, hx, hy),
            sheet.normal(0.4).clamp(-1, 1),
            sheet.chance(0.1),
            soft,
        )

    def behind(self, layers: Layers, at: Stance) -> None:
        """The hair behind face and shoulders, strands that stand off it included."""
        sheet = self.sheet
        body, nx, ny = sheet.cover(self.mass, self.soft)
        strand = sheet.polar_noise(self.x, self.y + 0.5, random.choice((180, 320, 500)), 9, 4.0)
        reach = sheet.between(0.03, 0.3)
        stray = torch.sigmoid((strand - sheet.between(0.3, 1.6)) * 5) * torch.exp(-self.mass.clamp(min=0) / reach)
        cover = torch.maximum(body, stray * sheet.between(0.2, 0.9) * sheet.chance(0.6) * (self.mass < 3 * reach))
        layers.over(at.shaded(self.hair, self.mass, nx, ny, 0.4), cover * (1 - self.bald))

    def front(self, layers: Layers, at: Stance) -> None:
        sheet = self.sheet
        face = self._face_shape()
        ear_y, ear = sheet.between(-0.1, 0.25), sheet.chance(0.85)
        for side in (-1.0, 1.0):
            shape = ellipse(self.x - side * 0.96 + self.turn * 0.2, self.y - ear_y, 0.17, 0.3) * 0.17
            part, nx, ny = sheet.cover(shape, at.soft)
            layers.over(at.shaded(self.skin * 0.92, shape, nx, ny, 0.1), part * ear)
        part, nx, ny = sheet.cover(face, at.soft)
        painted = self._features(at.shaded(self.skin, face, nx, ny, 0.6))
        layers.over(painted, part)
        self._fringe(layers, at)
        if random.random() < 0.5:
            self._glasses(layers, at)
        if random.random() < 0.5:
            self._hat(layers, at)

    def _face_shape(self) -> Tensor:
        sheet = self.sheet
        width = sheet.between(0.86, 1.0) * (1 - sheet.between(0.05, 0.4) * step(0.1, 1.35, self.y))
        return ellipse(
            self.x, self.y, width, torch.where(self.y < 0, sheet.between(1.15, 1.3), sheet.between(1.2, 1.42))
        )

    def _features(self, face: Tensor) -> Tensor:
        """Eyes, brows, nose, mouth, beard, wrinkles; some heads show no face but the back of the hair."""
        sheet = self.sheet
        middle = self.turn * 0.3
        x, y = self.x - middle, self.y
        warm = torch.tensor((1.0, 0.72, 0.68), device=sheet.device).view(1, 3, 1, 1)
        face = face * (
            1 - (1 - warm) * torch.exp(-((x.abs() - 0.5) ** 2 + (y - 0.35) ** 2) * 8) * sheet.between(0, 0.35)
        )
        beard = (
            step(0.15, 0.5, y + x.abs() * sheet.between(-0.3, 0.4) - sheet.between(0, 0.7))
            * sheet.chance(0.22)
            * sheet.between(0.3, 1)
        )
        face = torch.lerp(face, self.hair * 0.9, beard * (0.8 + 0.2 * sheet.noise(90)).clamp(0, 1))
        eye_y, eye_x = sheet.between(-0.2, 0.05), sheet.between(0.33, 0.45)
        brow, iris = self.hair * sheet.between(0.4, 0.9), sheet.color(0.7) * 0.45
        wide, open_by = sheet.between(0.13, 0.2), sheet.between(0.03, 0.1)
        for side in (-1.0, 1.0):
            ex, ey = x - side * eye_x * (1 - side * self.turn * 0.15), y - eye_y
            socket = torch.exp(-(ex * ex * 14 + ey * ey * 30))
            face = face * (1 - socket * sheet.between(0, 0.3))
            lid = step(0, 0.03, -(ellipse(ex, ey, wide, open_by) * open_by))
            face = torch.lerp(face, sheet.between(0.6, 0.95).expand_as(face), lid)
            face = torch.lerp(
                face, iris.expand_as(face), lid * step(0, 0.03, 0.075 - (ex * ex + ey * ey + 1e-6).sqrt())
            )
            lash = step(0, 0.03, 0.03 - (ellipse(ex, ey, wide * 1.1, open_by * 1.2) * open_by).abs()) * (ey < 0)
            face = face * (1 - 0.6 * lash)
            arch = (ey + 0.24 + ex * ex * 0.9 + side * ex * sheet.normal(0.15)).abs() - sheet.between(0.015, 0.06)
            face = torch.lerp(face, brow, step(0, 0.04, -arch) * step(0, 0.06, 0.26 - ex.abs()) * 0.8)
        nose = torch.exp(-(((x - 0.1 * self.turn) / 0.1) ** 2) - ((y - 0.32) / 0.1) ** 2)
        ridge = torch.exp(-(((x - 0.1) / 0.07) ** 2)) * step(-0.1, 0.1, y) * step(0, 0.1, 0.38 - y)
        face = face * (1 - nose * sheet.between(0.05, 0.35)) * (1 - ridge * sheet.normal(0.12))
        mouth_y, half = sheet.between(0.58, 0.78), sheet.between(0.2, 0.42)
        smile = y - mouth_y + x * x * sheet.between(-0.1, 0.7)
        lips = ellipse(x, smile, half, sheet.between(0.04, 0.13)) * 0.08
        red = face * torch.tensor((0.92, 0.55, 0.55), device=sheet.device).view(1, 3, 1, 1) * sheet.between(0.6, 1.05)
        face = torch.lerp(face, red, step(0, 0.03, -lips))
        teeth = ellipse(x, smile, half * 0.85, sheet.between(0.02, 0.08)) * 0.05
        inner = torch.where(sheet.chance(0.6) > 0, sheet.between(0.75, 0.95), sheet.between(0.05, 0.2))
        face = torch.lerp(face, inner.expand_as(face), step(0, 0.02, -teeth) * sheet.chance(0.45))
        face = face * (1 + sheet.noise((30, 12)) * sheet.between(0, 0.06))
        return torch.where(sheet.chance(0.05) > 0, self.hair, face)

    def _fringe(self, layers: Layers, at: Stance) -> None:
        """The hair in front of the face: its hairline is a window left open."""
        sheet = self.sheet
        off = sheet.normal(0.12)
        tall = sheet.between(0.85, 1.4)
        window = ellipse(self.x - off, self.y - sheet.between(0.3, 0.6), sheet.between(0.72, 1.05), tall)
        window = torch.minimum(window, torch.maximum(self.x.abs() - sheet.between(0.6, 1.2), 0.2 - self.y))
        window = window + sheet.polar_noise(self.x - off, self.y + 0.9, 90, 5, 3.0) * sheet.between(0, 0.07)
        # Short hair ends at the ears, long hair frames the face.
        low = self.y - sheet.between(-0.2, 3.5)
        shape = torch.maximum(torch.maximum(self.mass, -window * 0.6), low)
        part, nx, ny = sheet.cover(shape, self.soft)
        shade = 1 + 0.2 * sheet.noise(5) * sheet.between(0, 1)
        layers.over(at.shaded(self.hair * shade, self.mass, nx, ny, 0.5), part * (1 - self.bald))

    def _glasses(self, layers: Layers, at: Stance) -> None:
        sheet = self.sheet
        on = sheet.chance(0.4)
        rx, ry, gap = sheet.between(0.25, 0.42), sheet.between(0.18, 0.36), sheet.between(0.36, 0.46)
        x, y = self.x - self.turn * 0.3, self.y + sheet.between(-0.05, 0.12)
        frame = sheet.color() * 0.7
        thick = sheet.between(0.015, 0.06)
        dark = torch.where(sheet.chance(0.25) > 0, sheet.between(0.6, 0.97), sheet.between(0, 0.2))
        corner = sheet.between(0.1, 0.95) * torch.minimum(rx, ry)
        near = torch.minimum(box(x - gap, y, rx, ry, corner), box(x + gap, y, rx, ry, corner))
        layers.over(sheet.color(0.4) * 0.4, step(0, 0.03, -near) * dark * on * layers.alpha)
        bar = torch.maximum(y.abs() - thick, x.abs() - 0.98) + 0.02 * (y > 0.1)
        rims = torch.minimum(near.abs() - thick, torch.maximum(bar, -(near + 0.02)))
        part = sheet.cover(rims, at.soft)[0]
        layers.over(frame, part * on)

    def _hat(self, layers: Layers, at: Stance) -> None:
        """Caps, wide brims, officers' caps, hoods, and helmets that leave the face open."""
        sheet = self.sheet
        on = sheet.chance(0.45)
        level = sheet.between(-0.75, -0.25)
        wide, tall = sheet.between(1.02, 1.45), sheet.between(0.6, 1.25)
        square = sheet.between(2, 4)
        dome = ((self.x.abs() / wide) ** square + ((self.y - level).abs() / tall) ** square + 1e-6) ** (1 / square) - 1
        # A peaked cap is widest at its top, which is flat.
        above = (level - self.y).clamp(min=0)
        flared = self.x.abs() - wide - torch.minimum(above, tall) * sheet.between(0, 0.5)
        peaked = torch.maximum(flared, above - tall * sheet.between(0.5, 1.1) - self.x * sheet.normal(0.08))
        crown = torch.maximum(torch.where(sheet.chance(0.3) > 0, peaked, dome), self.y - level)
        brim_wide = wide * torch.where(sheet.chance(0.4) > 0, sheet.between(1.3, 2.2), sheet.between(0.8, 1.1))
        arc = self.y - level + self.x * self.x * sheet.between(-0.15, 0.15)
        brim = ellipse(self.x - self.turn * 0.3, arc, brim_wide, sheet.between(0.1, 0.4)) * 0.2
        cap = torch.minimum(crown, torch.where(sheet.chance(0.7) > 0, brim, crown))
        shell = ellipse(self.x, self.y - sheet.between(-0.3, 0.1), sheet.between(1.2, 1.75), sheet.between(1.45, 2.0))
        opening = box(
            self.x,
            self.y - sheet.between(0.0, 0.3),
            sheet.between(0.7, 0.95),
            sheet.between(0.6, 1.1),
            sheet.between(0.2, 0.6),
        )
        hat = torch.where(sheet.chance(0.22) > 0, torch.maximum(shell, -opening), cap)
        part, nx, ny = sheet.cover(hat, at.soft)
        paint = sheet.color() * (1 + sheet.noise(12) * sheet.between(0, 0.12)) + sheet.noise(60) * sheet.between(
            0, 0.04
        )
        band = step(0, 0.04, self.y - level + sheet.between(0.05, 0.5)) * sheet.chance(0.4)
        paint = torch.lerp(paint, sheet.color().expand_as(paint), band)
        # A visor of another colour, and embroidery on it or on the crown.
        visor = step(-0.02, 0.02, -brim) * sheet.chance(0.5)
        paint = torch.lerp(paint, sheet.color().expand_as(paint), visor)
        thread = torch.sigmoid(sheet.fractal(random.choice((24, 48)), 2) * 6 - sheet.between(0, 4))
        where = torch.where(sheet.chance(0.5) > 0, visor, step(0, 0.1, self.y - level + sheet.between(0.1, 0.8)))
        paint = torch.lerp(paint, sheet.color().expand_as(paint), thread * where * sheet.chance(0.35))
        badge = sheet.cover(
            ellipse(self.x - self.turn * 0.3, self.y - level + 0.4, sheet.between(0.1, 0.35), 0.25), 1.5
        )[0]
        paint = torch.lerp(paint, sheet.color().expand_as(paint), badge * sheet.chance(0.35))
        layers.over(at.shaded(paint, hat, nx, ny, 0.35), part * on)


def _hair_mass(sheet: Sheet, x: Tensor, y: Tensor) -> Tensor:
    """From cropped to voluminous, straight to curly, with buns, tails and long falls, as one implicit shape."""
    volume = sheet.between(0, 1) ** 1.5
    rx, ry = 1.0 + 0.65 * volume, 1.08 + 0.55 * volume
    cx, cy = sheet.normal(0.06), -0.12 - 0.25 * volume * sheet.between(0, 1)
    shape = ellipse(x - cx, y - cy, rx, ry)
    bottom = torch.where(sheet.chance(0.55) > 0, sheet.between(-0.1, 0.7), sheet.between(1, 5))
    fall = limb(
        x.abs() - sheet.between(0.1, 0.8), y, (torch.zeros_like(rx), torch.zeros_like(rx)),
        (sheet.between(0, 0.5), bottom), sheet.between(0.7, 1.0), sheet.between(0.3, 0.9),
    )  # fmt: skip
    shape = torch.where(sheet.chance(0.42) > 0, melt(shape, fall, 0.2), shape)
    side = 1 - 2 * sheet.chance(0.5)
    knot = (
        ellipse(
            x - side * sheet.between(0, 1.2),
            y + sheet.between(0.6, 1.7),
            sheet.between(0.35, 0.7),
            sheet.between(0.3, 0.6),
        )
        * 0.5
    )
    shape = torch.where(sheet.chance(0.12) > 0, torch.minimum(shape, knot), shape)
    tail = limb(
        x,
        y,
        (side * 0.8, -0.5 * torch.ones_like(rx)),
        (side * sheet.between(1, 1.9), sheet.between(0.5, 3)),
        sheet.between(0.2, 0.45),
        sheet.between(0.05, 0.3),
    )
    shape = torch.where(sheet.chance(0.08) > 0, torch.minimum(shape, tail), shape)
    curls = sheet.noise(random.choice((16, 30, 50))) * sheet.between(0, 0.06) * (0.4 + volume)
    strands = sheet.polar_noise(x, y + 0.6, random.choice((140, 260, 420)), 8, 4.0) * sheet.between(0, 0.05)
    return shape + curls + strands + sheet.noise(8) * sheet.between(0, 0.08)
