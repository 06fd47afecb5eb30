"""net_recon: the coefficients of an aligned face."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.hrn.crops import Bank, Step, five, moved
from training.hrn.drawing import SIDE, project, rotation
from training.hrn.scenes import cut, paste, sometimes, uniform
from trtkit.models.hrn.networks.recon import CoefficientNet

_WIDTH = 1.6
"""Of a face, decimetres."""
_OFF = 1.6
"""The five points that align a crop are up to so many pixels off: the networks before this one err by 0.8."""


class Reconstruct:
    """By the distance of vertices, in space and in the crop, rather than of numbers: few of the numbers matter."""

    batch, rate, every = 192, 3e-3, 4

    def __init__(self) -> None:
        network = CoefficientNet(8)
        for head in network.final_layers:
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        self.network: nn.Module = network

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """(crops aligned as geometry.align.frame_of aligns them, by five points with some noise, [B, 3, 224, 224];
        coefficients [B, 257]; where the vertices are to be seen in the crop [B, V, 2])."""
        p, d = bank.take(batch), bank.drawer
        standard = five(d.mean.reshape(1, -1, 3)[:, d.landmarks])[0]
        lifted = torch.cat([standard, torch.ones(5, 1, device=d.device)], dim=1).double()
        noise = uniform(0, _OFF, batch, 1, 1, device=d.device) * torch.randn(batch, 5, 2, device=d.device)
        upward = (five(p.points68) + noise) * torch.tensor([1.0, -1.0], device=d.device)
        solution = torch.linalg.pinv(lifted).float() @ upward
        scale = 102 / solution[:, :3].norm(dim=1).mean(1)
        shift = 112 - torch.stack([solution[:, 3, 0], 1 - solution[:, 3, 1]], 1) * scale[:, None]
        picture = sometimes(paste(bank.behind(batch, 224), p.rgba, scale, shift))
        flat = project(d.turned(d.shape(p.vector), p.vector) + p.vector[:, None, 254:257]) * (SIDE / 224)
        return cut(picture, 0.0, 0.15), p.vector, moved(flat, scale, shift)

    def step(self, net: nn.Module, bank: Bank, batch: int) -> Step:
        d = bank.drawer
        picture, vector, flat = self.sample(bank, batch)
        found = net(picture)
        mine = d.turned(d.shape(found), found)
        true = d.turned(d.shape(vector), vector)
        vertices = _apart(mine, true)
        away = (project(mine + found[:, None, 254:257]) - flat).norm(dim=-1)
        marks = away[:, d.landmarks].mean()
        plain = _apart(d.shape(found), d.shape(vector))
        turn = (found[:, 224:227] - vector[:, 224:227]).abs().mean()
        light = F.smooth_l1_loss(found[:, 227:254], vector[:, 227:254]) * 20
        colour = F.smooth_l1_loss(found[:, 144:150], vector[:, 144:150])
        # No colour hangs on the other 74, and hardly any shape on most of the 144.
        quiet = found[:, 150:224].square().mean() + 0.01 * found[:, :144].square().mean()
        loss = 60 * vertices + 30 * plain + away.mean() + marks + 10 * turn + light + colour + quiet
        unknowing = _apart(d.mean.reshape(1, -1, 3) @ rotation(vector[:, 224:227]), true)
        return loss, {
            "landmarks": marks.detach(),
            "vertices%": vertices.detach() / _WIDTH * 100,
            "mean face's%": unknowing / _WIDTH * 100,
            "shape%": plain.detach() / _WIDTH * 100,
            "degrees": turn.detach() * 57.3,
        }


def _apart(one: Tensor, other: Tensor) -> Tensor:
    """The mean distance of vertices [N, V, 3] around their middles: where a face stands is `place`, and a shape that is
    moved as a whole looks the same in an aligned crop."""
    gap = one - other
    return (gap - gap.mean(dim=1, keepdim=True)).norm(dim=-1).mean()
