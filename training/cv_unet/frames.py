"""Pictures to train on: figures over backgrounds from reused pools, framed, letterboxed, photographed, resized."""

from __future__ import annotations

import random
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from training.cv_unet import camera
from training.cv_unet.fields import Sheet, rotate
from training.cv_unet.figures import figures
from training.cv_unet.hangings import beside
from training.cv_unet.scenes import backgrounds, blur, photographs


class Pool:
    """Drawn people and places kept as uint8 on the device, since drawing costs more than a training step.

    `people`: [P, 4, S, S] premultiplied RGB and alpha; `places`: [Q, 3, S, S]. `refresh` redraws the oldest, so that
    every picture is met a few times, each time in another pairing, framing and light. `laden`: the share of people with
    gear and held things, and of places with flags and stands; about a third as many pictures have a flag right beside
    the body. The held-out set is drawn at 0.
    """

    def __init__(
        self, people: int, places: int, size: int, device: torch.device | str, draw: int = 48, laden: float = 0.0
    ) -> None:
        self.size, self.device, self.draw, self.laden = size, device, draw, laden
        self.store = photographs(size, device)
        self.people = torch.empty(people, 4, size, size, dtype=torch.uint8, device=device)
        self.places = torch.empty(places, 3, size, size, dtype=torch.uint8, device=device)
        self._next_person = self._next_place = 0
        for _ in range(0, people, draw):
            self.new_people()
        for _ in range(0, places, draw):
            self.new_places()

    @torch.no_grad()
    def new_people(self) -> None:
        color, alpha = figures(Sheet(self.draw, self.size, self.device), self.store, self.laden)
        self._next_person = _put(self.people, torch.cat([color, alpha], dim=1), self._next_person)

    @torch.no_grad()
    def new_places(self) -> None:
        drawn = backgrounds(Sheet(self.draw, self.size, self.device), self.store, self.laden)
        self._next_place = _put(self.places, drawn, self._next_place)

    def _pick(self, pool: Tensor, count: int) -> Tensor:
        return pool[torch.randint(len(pool), (count,), device=self.device)].float() / 255

    @torch.no_grad()
    def batch(self, count: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures [N, 3, s, s] in 0..1, their alpha [N, 1, s, s] in 0..1, and 1 where the picture is, 0 where the
        letterbox only repeats its edge, [N, 1, s, s]."""
        sheet = Sheet(count, self.size, self.device)
        inside, u, v = _letterbox(sheet)
        person = _place(self._pick(self.people, count), *_crop(sheet, u, v))
        person = _relight(sheet, person)
        pairs = max(1, round(0.14 * count))
        few = Sheet(pairs, self.size, self.device)
        second = _relight(few, _place(self._pick(self.people, pairs), *_crop(few, u[:pairs], v[:pairs])))
        person[:pairs] += second * (1 - person[:pairs, 3:])
        # Cloth from edge to edge is nobody: without an outline nothing tells it from a curtain.
        seen = person[:, 3:].mean((2, 3), keepdim=True) < 0.9
        person = person * (1 - sheet.chance(0.05)) * seen
        place = self._pick(self.places, count)
        place = _place(place, *_free(sheet, u, v), padding="reflection")
        place = _near_same(sheet, place, person)
        flags = round(0.3 * self.laden * count)
        if flags:
            hung = beside(Sheet(flags, self.size, self.device), person[-flags:])
            hung = _place(hung, u[-flags:], v[-flags:])
            hung = blur(hung, random.uniform(0.5, 4) * self.size / 512) if random.random() < 0.4 else hung
            place[-flags:] = torch.lerp(place[-flags:], hung[:, :3].clamp(0, 1), hung[:, 3:])
        if random.random() < 0.35:
            person = blur(person, random.uniform(0.4, 1.6) * self.size / 512)
        alpha = person[:, 3:]
        place = place * (1 - _shadow(sheet, alpha))
        image = person[:, :3] + place * (1 - alpha)
        late = random.random() < 0.5
        if not late:
            image = camera.shoot(image)
        image, alpha, inside = (_shrink(layer, size) for layer in (image, alpha, inside))
        if late:
            image = camera.shoot(image)
        return image, alpha, (inside > 0.5).float()


def _put(pool: Tensor, drawn: Tensor, start: int) -> int:
    slots = (torch.arange(len(drawn), device=pool.device) + start) % len(pool)
    pool[slots] = (drawn.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
    return (start + len(drawn)) % len(pool)


def _shrink(x: Tensor, size: int) -> Tensor:
    """Area mean, as the pipeline shrinks: every output pixel averages exactly the stretch that it covers."""
    if x.shape[-1] == size:
        return x
    weights = _area_weights(x.shape[-1], size, x.device)
    return weights @ x @ weights.T


@lru_cache(maxsize=16)
def _area_weights(before: int, after: int, device: torch.device) -> Tensor:
    """[after, before]: the share of each input pixel in each output pixel, rows summing to 1."""
    pitch = before / after
    start = torch.arange(after, device=device).view(-1, 1) * pitch
    pixel = torch.arange(before, device=device).view(1, -1)
    overlap = torch.minimum(start + pitch, pixel + 1.0) - torch.maximum(start, pixel.float())
    return overlap.clamp(min=0) / pitch


def _letterbox(sheet: Sheet) -> tuple[Tensor, Tensor, Tensor]:
    """Half of the pictures are not square: the canvas' coordinates u, v clamped to the picture, as its edge repeats."""
    stretch = sheet.between(-0.65, 0.65) * sheet.chance(0.5)
    half_w, half_h = (0.5 * torch.exp(-stretch.clamp(min=0))), (0.5 * torch.exp(stretch.clamp(max=0)))
    u, v = sheet.x - 0.5, sheet.y - 0.5
    inside = ((u.abs() <= half_w) & (v.abs() <= half_h)).float()
    shape = (sheet.batch, 1, sheet.size, sheet.size)
    edge = 0.5 / sheet.size
    u = torch.minimum(torch.maximum(u, edge - half_w), half_w - edge).expand(shape)
    v = torch.minimum(torch.maximum(v, edge - half_h), half_h - edge).expand(shape)
    return inside, u, v


def _crop(sheet: Sheet, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """A part of the drawn figure, never more than it: the frame cuts people, and no cut of the drawing shows."""
    zoom = 1 - sheet.between(0, 0.5) * sheet.chance(0.45)
    wide = zoom * (1 - sheet.between(0, 0.12) * sheet.chance(0.3))
    mirror = 1 - 2 * sheet.chance(0.5)
    x, y = rotate(u * wide, v * zoom, sheet.normal(0.12) * sheet.chance(0.25) * (1 - zoom).clamp(max=0.2) * 5)
    x = (x + (1 - wide) * sheet.between(-0.5, 0.5)) * mirror
    # Seldom higher than the middle: the body leaves the frame at the bottom, as it does in portraits.
    return x, y + (1 - zoom) * sheet.between(-0.5, 0.5)


def _free(sheet: Sheet, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    zoom = 2 ** sheet.between(-1.2, 0.4)
    x, y = rotate(u * zoom, v * zoom, sheet.normal(0.06))
    x = (x + sheet.between(-0.3, 0.3)) * (1 - 2 * sheet.chance(0.5))
    return x, (y + sheet.between(-0.3, 0.3)) * (1 - 2 * sheet.chance(0.12))


def _place(layer: Tensor, x: Tensor, y: Tensor, padding: str = "border") -> Tensor:
    grid = torch.stack([x.squeeze(1) * 2, y.squeeze(1) * 2], dim=-1)
    return F.grid_sample(layer, grid, mode="bilinear", padding_mode=padding, align_corners=False)


def _relight(sheet: Sheet, person: Tensor) -> Tensor:
    """Brightness, contrast and cast of the person alone, on premultiplied colour."""
    color, alpha = person[:, :3], person[:, 3:]
    gain = (1 + sheet.normal(0.22)).clamp(0.4, 1.8) * (1 + sheet.normal(0.07, 3))
    color = color * gain + (alpha * 0.5 - color) * sheet.between(-0.15, 0.3)
    return torch.cat([torch.minimum(color.clamp(min=0), alpha), alpha], dim=1)


def _near_same(sheet: Sheet, place: Tensor, person: Tensor) -> Tensor:
    """Sometimes the background takes on the colour of a spot of the person: then only shape tells them apart."""
    weight = person[:, 3:] * (torch.rand(sheet.batch, 1, 1, 1, device=sheet.device) * 6 - sheet.y * 4).sigmoid()
    mean = (person[:, :3] * weight).sum((2, 3), keepdim=True) / (weight.sum((2, 3), keepdim=True) + 1)
    shift = (mean - place.mean((2, 3), keepdim=True)) * sheet.chance(0.17) * sheet.between(0.5, 1)
    contrast = 1 + (sheet.between(0.5, 1.5) - 1) * sheet.chance(0.5)
    middle = place.mean((1, 2, 3), keepdim=True)
    return ((place - middle) * contrast + middle + shift).clamp(0, 1)


def _shadow(sheet: Sheet, alpha: Tensor) -> Tensor:
    """The shadow that the person throws on what is behind, [B, 1, S, S]: soft, shifted, not part of the alpha."""
    small = F.interpolate(alpha, size=(max(4, sheet.size // random.choice((8, 16, 40))),) * 2, mode="area")
    cast = F.interpolate(small, size=alpha.shape[-2:], mode="bilinear", align_corners=False)
    cast = cast.roll((random.randint(0, sheet.size // 16), random.randint(-sheet.size // 12, sheet.size // 12)), (2, 3))
    return cast * sheet.between(0, 0.6) * sheet.chance(0.3)
