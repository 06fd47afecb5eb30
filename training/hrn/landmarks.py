"""The 106-landmark network and FAN: points of one face."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.hrn.crops import WINDOW, Bank, Step, crop, extent, moved
from training.hrn.scenes import cut, uniform
from trtkit.models.hrn import points106
from trtkit.models.hrn.networks.fan import FAN
from trtkit.models.hrn.networks.landmarks106 import Landmarks106


class Points106:
    """In squares around a detected box, or around the points themselves, as the pipeline looks twice."""

    batch, rate, every = 48, 3e-3, 4

    def __init__(self) -> None:
        self.network: nn.Module = Landmarks106(8)

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor]:
        """(pictures as the network sees them, points [B, 106, 2])."""
        p, device = bank.take(batch), bank.drawer.device
        whole = ((p.box[:, :2] + p.box[:, 2:]) / 2, (p.box[:, 2:] - p.box[:, :2]).amax(1))
        close = extent(p.points106)
        first = torch.rand(batch, device=device) < 0.5
        middle = torch.where(first[:, None], whole[0], close[0])
        side = torch.where(first, whole[1], close[1]) * points106.ENLARGE
        side = side * uniform(0.85, 1.18, batch, device=device)
        middle = middle + (torch.rand(batch, 2, device=device) - 0.5) * 0.16 * side[:, None]
        picture, scale, shift = crop(bank, p, middle, side, 224)
        mean = torch.tensor(points106.MEAN, device=device)[:, None, None] / 255
        return cut(picture - mean, 0.0, 0.2), moved(p.points106, scale, shift)

    def step(self, net: nn.Module, bank: Bank, batch: int) -> Step:
        picture, points = self.sample(bank, batch)
        away = (net(picture).unflatten(1, (106, 2)) * 224 - points).norm(dim=-1)
        return away.clamp_max(60).mean(), {"pixels": away.detach().mean()}


class Points68:
    """FAN, as one hourglass: the cross entropy of each heat map and a small hill at its landmark."""

    batch, rate, every = 32, 3e-3, 4

    def __init__(self) -> None:
        self.network: nn.Module = FAN(1, 24)

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor]:
        """(pictures as the network sees them, points [B, 68, 2])."""
        p, device = bank.take(batch), bank.drawer.device
        middle, longer = extent(p.points68)
        side = longer * WINDOW * uniform(0.85, 1.2, batch, device=device)
        middle = middle + (torch.rand(batch, 2, device=device) - 0.5) * 0.12 * side[:, None]
        picture, scale, shift = crop(bank, p, middle, side, 256)
        return cut(picture, 0.0, 0.25), moved(p.points68, scale, shift)

    def step(self, net: nn.Module, bank: Bank, batch: int) -> Step:
        picture, points = self.sample(bank, batch)
        # Half a pixel of the crop is lost to the cut toward 0 in points68: 0.15 of a cell.
        cells = points / 4 - 0.5 + 0.15
        axis = torch.arange(64, device=picture.device).float()
        gap = (axis - cells[..., :1]).square()[..., None, :] + (axis - cells[..., 1:]).square()[..., None]
        wanted = torch.exp(-gap / (2 * 0.9**2)).flatten(2)
        inside = (cells > 0).all(-1) & (cells < 63).all(-1)
        heat = net(picture)
        loss = -(wanted / wanted.sum(-1, keepdim=True).clamp_min(1e-6) * heat.flatten(2).log_softmax(-1)).sum(-1)
        at = heat.detach().flatten(2).argmax(-1)
        away = (torch.stack([at % 64, at // 64], -1) - cells).norm(dim=-1)[inside]
        return loss[inside].mean(), {"cells": away.mean()}
