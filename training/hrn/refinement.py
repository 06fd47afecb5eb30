"""mid_net, high_net and the de-retouching network: what the skin has beyond the face model."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.hrn.crops import Bank, Step, extent
from training.hrn.drawing import SIDE, project
from training.hrn.scenes import camera, paste
from trtkit.models.hrn.networks.deretouch import DeRetouchNet
from trtkit.models.hrn.networks.pix2pix import ResidualGenerator
from trtkit.models.hrn.specs import HIGH, MID, TEXTURE
from trtkit.models.hrn.synthetic.head import COLUMNS, ROWS


class Refine:
    """mid_net and high_net: how far the skin lies off the coarse face, from the light on it."""

    rate = 2e-3

    def __init__(self, fine: bool) -> None:
        self.fine = fine
        self.network: nn.Module = ResidualGenerator(9 if fine else 6, 1 if fine else 3, 2)
        self.batch, self.side, self.every = (12, HIGH, 16) if fine else (32, MID, 16)
        self.kept: list[tuple[Tensor, Tensor]] = []

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor]:
        """(maps as the network sees them, what it is to give)."""
        d, device = bank.drawer, bank.drawer.device
        vector = d.random(batch, 0.7)
        shape = d.shape(vector)
        cells = 24 if self.fine else 7
        bumps = F.interpolate(torch.randn(batch, 1, cells, cells, device=device), size=(ROWS, COLUMNS), mode="bicubic")
        # Vertices run from the top row down, left to right.
        far = (0.012 if self.fine else 0.03) * torch.rand(batch, 1, device=device) * bumps.flatten(1)
        normal = d.normals(shape)
        rgba = d.draw(vector, shape + far[..., None] * normal).rgba
        still = (torch.ones(batch, device=device), torch.zeros(batch, 2, device=device))
        picture = camera(paste(bank.behind(batch, SIDE), rgba, *still))
        seen = project(d.turned(shape, vector) + vector[:, None, 254:257]) * (SIDE / 224)
        at = (self._uv(seen).permute(0, 2, 3, 1) + 0.5) / SIDE * 2 - 1
        texture = F.grid_sample(picture, at, padding_mode="border", align_corners=False) * 2 - 1
        maps = [self._uv(shape), texture]
        if self.fine:
            maps.append(torch.zeros_like(texture))
        wanted = self._uv(far[..., None]) if self.fine else self._uv(far[..., None] * normal)
        return torch.cat(maps, 1), wanted

    def _uv(self, values: Tensor) -> Tensor:
        """[N, V, C] → [N, C, side, side]; the mesh fills 0.02..0.98 of the square."""
        maps = values.unflatten(1, (ROWS, COLUMNS)).permute(0, 3, 1, 2)
        axis = (torch.arange(self.side, device=values.device) + 0.5) / self.side * 2 - 1
        y, x = torch.meshgrid(axis / 0.96, axis / 0.96, indexing="ij")
        grid = torch.stack([x, y], -1)[None].expand(len(values), -1, -1, -1)
        return F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=True)

    def step(self, net: nn.Module, bank: Bank, batch: int) -> Step:
        with torch.no_grad():
            maps, wanted = self.sample(bank, batch)
        loss = (0.1 * net(maps) - wanted).abs().mean() * 1000
        return loss, {"micron": loss.detach() * 100, "of": wanted.abs().mean() * 1e5}


class Retouch:
    """Blemishes on smooth skin: the soft light that takes them away again, so that their ratio is the detail."""

    batch, rate, every = 16, 2e-3, 16

    def __init__(self) -> None:
        self.network: nn.Module = DeRetouchNet(2)

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor]:
        """(pictures with blemishes, the same without), [B, 3, 512, 512] in 0..1."""
        device = bank.drawer.device
        p = bank.take(batch)
        middle, longer = extent(p.points68)
        scale = TEXTURE / longer
        smooth = paste(bank.behind(batch, TEXTURE), p.rgba, scale, TEXTURE / 2 - middle * scale[:, None])
        smooth = smooth.clamp(0.02, 1)
        spots = torch.zeros(batch, 1, TEXTURE, TEXTURE, device=device)
        for cells in (40, 90, 180):
            some = (torch.rand(batch, 1, cells, cells, device=device) < 0.02).float()
            spots = spots + F.interpolate(some, size=(TEXTURE, TEXTURE), mode="bicubic").clamp_min(0)
        dark = 0.35 * torch.rand(batch, 1, 1, 1, device=device) * spots.clamp(0, 1)
        return (smooth * (1 - dark)).clamp(0.01, 1), smooth

    def step(self, net: nn.Module, bank: Bank, batch: int) -> Step:
        seen, smooth = self.sample(bank, batch)
        layer = net(seen * 2 - 1)
        lit = (1 - 2 * layer) * seen * seen + 2 * layer * seen
        loss = (lit - smooth).abs().mean() * 100
        return loss, {"loss%": loss.detach(), "left%": (seen - smooth).abs().mean() * 100}
