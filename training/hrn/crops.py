"""What the networks' training shares: faces kept on the device, their landmarks' extent, squares cut around them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from training.hrn.drawing import Drawer, Patches
from training.hrn.scenes import backgrounds, camera, paste

WINDOW = 1.15
"""FAN's window: so many times the longer side of the 68 landmarks' extent."""

Step = tuple[Tensor, dict[str, Tensor]]
"""The loss, and figures for people: numbers that stay on the device until somebody reads them."""

_BEHIND = 100_000_000
"""Pixels of the backgrounds that are kept of each size."""


class Bank:
    """Faces and backgrounds kept on the device and replaced one after the other: drawing costs more than using one
    again in another place, size and light."""

    def __init__(self, drawer: Drawer, size: int, fresh: int, every: int = 1) -> None:
        """About `size` faces, `fresh` of them drawn anew at every `every`th taking."""
        self.drawer, self.fresh, self.every, self.next, self.takings = drawer, fresh, every, 0, 0
        self.pictures: dict[int, Tensor] = {}
        parts = [drawer.draw(drawer.random(min(32, size))) for _ in range(max(1, size // 32))]
        names = ("rgba", "points68", "points106", "box", "vector")
        self.patches = Patches(*(torch.cat([getattr(part, name) for part in parts]) for name in names))
        self.size = len(self.patches.vector)

    def take(self, count: int) -> Patches:
        """Any `count` of them."""
        self.takings += 1
        if self.fresh and self.takings % self.every == 0:
            at = (torch.arange(self.fresh, device=self.drawer.device) + self.next) % self.size
            self.patches.put(at, self.drawer.draw(self.drawer.random(self.fresh)))
            self.next = (self.next + self.fresh) % self.size
        at = torch.randint(0, self.size, (count,), device=self.drawer.device)
        p = self.patches
        return Patches(p.rgba[at], p.points68[at], p.points106[at], p.box[at], p.vector[at])

    def behind(self, count: int, side: int) -> Tensor:
        """Any `count` backgrounds, float [count, 3, side, side] in 0..1, some of them mirrored."""
        device = self.drawer.device
        if side not in self.pictures:
            many = min(self.size, _BEHIND // side**2)
            parts = [_bytes(backgrounds(min(32, many), side, device)) for _ in range(max(1, many // 32))]
            self.pictures[side] = torch.cat(parts)
        kept = self.pictures[side]
        if self.fresh and self.takings % self.every == 0:
            kept[torch.randint(0, len(kept), (8,), device=device)] = _bytes(backgrounds(8, side, device))
        picked = kept[torch.randint(0, len(kept), (count,), device=device)].float() / 255
        return picked.flip([axis for axis in (2, 3) if torch.rand(()) < 0.5])


class Task(Protocol):
    """One network's training: `network` before the first step, the learning rate it begins with, and what a step is."""

    network: nn.Module
    batch: int
    rate: float
    every: int
    """Of how many takings of faces one draws new ones."""

    def step(self, net: nn.Module, bank: Bank, batch: int) -> Step:
        """A batch of fresh pictures through `net`."""
        ...


def extent(points: Tensor) -> tuple[Tensor, Tensor]:
    """[N, K, 2] → (middle [N, 2], longer side [N])."""
    low, high = points.amin(1), points.amax(1)
    return (low + high) / 2, (high - low).amax(1)


def five(points: Tensor) -> Tensor:
    """[N, 68, k] → [N, 5, k], as geometry.align.five_of_68."""
    eyes = [(points[:, a] + points[:, b]) / 2 for a, b in ((36, 39), (42, 45))]
    return torch.stack([*eyes, points[:, 30], points[:, 48], points[:, 54]], dim=1)


def _bytes(picture: Tensor) -> Tensor:
    return (picture * 255 + 0.5).byte()


def crop(
    bank: Bank, p: Patches, middle: Tensor, side: Tensor, size: int, shown: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Squares around `middle` with `side` in pixels of the patch → (pictures [N, 3, size, size], scale, shift)."""
    scale = size / side
    shift = size / 2 - middle * scale[:, None]
    rgba = p.rgba if shown is None else p.rgba * shown[:, None, None, None]
    return camera(paste(bank.behind(len(side), size), rgba, scale, shift)), scale, shift


def moved(points: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Points [N, K, 2] of the patch → of the picture that it is pasted into."""
    return points * scale[:, None, None] + shift[:, None]
