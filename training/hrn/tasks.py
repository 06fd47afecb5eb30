"""What each network is trained to do: a batch made of fresh faces, and the loss of the network's answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trtkit.models.hrn import find_faces, points68, points106
from trtkit.models.hrn.networks.deretouch import DeRetouchNet
from trtkit.models.hrn.networks.fan import FAN
from trtkit.models.hrn.networks.landmarks106 import Landmarks106
from trtkit.models.hrn.networks.pix2pix import ResidualGenerator
from trtkit.models.hrn.networks.recon import CoefficientNet
from trtkit.models.hrn.networks.retinaface import RetinaFace
from trtkit.models.hrn.networks.s3fd import S3FD
from training.hrn.drawing import SIDE, Drawer, Patches, project
from training.hrn.scenes import backgrounds, camera, cut, paste, uniform

WINDOW = 1.15
"""FAN's window: so many times the longer side of the 68 landmarks' extent."""


class Bank:
    """Faces kept on the device and replaced one after the other: drawing costs more than using one again."""

    def __init__(self, drawer: Drawer, size: int, fresh: int) -> None:
        self.drawer, self.size, self.fresh, self.next = drawer, size, fresh, 0
        parts = [drawer.draw(drawer.random(min(32, size))) for _ in range(max(1, size // 32))]
        names = ("rgba", "points68", "points106", "box", "vector")
        self.patches = Patches(*(torch.cat([getattr(part, name) for part in parts]) for name in names))
        self.size = len(self.patches.vector)

    def take(self, count: int) -> Patches:
        if self.fresh:
            at = (torch.arange(self.fresh, device=self.drawer.device) + self.next) % self.size
            self.patches.put(at, self.drawer.draw(self.drawer.random(self.fresh)))
            self.next = (self.next + self.fresh) % self.size
        at = torch.randint(0, self.size, (count,), device=self.drawer.device)
        p = self.patches
        return Patches(p.rgba[at], p.points68[at], p.points106[at], p.box[at], p.vector[at])


def extent(points: Tensor) -> tuple[Tensor, Tensor]:
    """[N, K, 2] → (middle [N, 2], longer side [N])."""
    low, high = points.amin(1), points.amax(1)
    return (low + high) / 2, (high - low).amax(1)


def five(points: Tensor) -> Tensor:
    """[N, 68, 2] → [N, 5, 2]."""
    eyes = [(points[:, a] + points[:, b]) / 2 for a, b in ((36, 39), (42, 45))]
    return torch.stack([*eyes, points[:, 30], points[:, 48], points[:, 54]], dim=1)


def crop(p: Patches, middle: Tensor, side: Tensor, size: int, shown: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Squares around `middle` with `side` in pixels of the patch → (pictures [N, 3, size, size], scale, shift)."""
    scale = size / side
    shift = size / 2 - middle * scale[:, None]
    rgba = p.rgba if shown is None else p.rgba * shown[:, None, None, None]
    return camera(paste(backgrounds(len(side), size, side.device), rgba, scale, shift)), scale, shift


def moved(points: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return points * scale[:, None, None] + shift[:, None]


def anchor_targets(boxes: Tensor, real: Tensor, anchors: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes [B, K, 4], `real` [B, K], anchors [P, 4] centre and size → (matched box [B, P], sure [B, P], none [B, P])."""
    corners = torch.cat([anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], dim=1)
    low = torch.maximum(boxes[:, :, None, :2], corners[None, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], corners[None, None, :, 2:])
    shared = (high - low).clamp_min(0).prod(-1)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp_min(1e-6).prod(-1)
    overlap = shared / (area[..., None] + anchors[:, 2:].prod(-1) - shared) * real[..., None]
    best, which = overlap.max(dim=1)
    top = overlap.argmax(dim=2)
    forced = torch.zeros_like(best).scatter_reduce(1, top, real.float(), "amax") > 0
    owner = torch.zeros_like(which).scatter_reduce(
        1, top, torch.where(real, torch.arange(boxes.shape[1], device=boxes.device), -1), "amax"
    )
    return torch.where(forced, owner.clamp_min(0), which), (best > least) | forced, (best < least - 0.1) & ~forced


def detection_loss(offsets: Tensor, logits: Tensor, matched: Tensor, sure: Tensor, none: Tensor, anchors: Tensor) -> Tensor:
    """Cross entropy over the faces and the hardest backgrounds, and the distance of the offsets."""
    rate = (logits[..., 1] - logits[..., 0]).float()
    plus, minus = F.softplus(-rate), F.softplus(rate)
    count = sure.sum().clamp_min(1)
    hardest = torch.where(none, minus, torch.zeros_like(minus)).flatten()
    most = min(int(5 * count) + 16 * len(logits), hardest.numel())
    scores = plus[sure].sum() + hardest.topk(most).values.sum()
    middle = (matched[..., :2] + matched[..., 2:]) / 2
    size = (matched[..., 2:] - matched[..., :2]).clamp_min(1e-4)
    wanted = torch.cat([(middle - anchors[:, :2]) / (0.1 * anchors[:, 2:]), (size / anchors[:, 2:]).log() / 0.2], dim=-1)
    boxes = F.smooth_l1_loss(offsets[sure].float(), wanted[sure], reduction="sum", beta=0.3)
    return (scores + boxes) / count


class Task:
    batch = 32
    rate = 2e-3
    network: nn.Module

    def step(self, net: nn.Module, bank: Bank, batch: int) -> tuple[Tensor, dict[str, float]]:
        raise NotImplementedError


class Find(Task):
    batch, rate, slots = 16, 3e-3, 8

    def __init__(self) -> None:
        self.network = RetinaFace(4)
        self.anchors = torch.as_tensor(find_faces.priors())

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        device = bank.drawer.device
        picture = backgrounds(batch, 512, device)
        boxes, points, reals = [], [], []
        crowd = torch.rand(batch, device=device)
        for slot in range(self.slots):
            p = bank.take(batch)
            level = (slot + np.random.randint(0, 5)) % 5 if slot else np.random.randint(1, 6)
            low, high = ((9, 22), (20, 50), (40, 100), (80, 180), (60, 240), (160, 480))[level]
            size = low * (high / low) ** torch.rand(batch, device=device)
            scale = size / (p.box[:, 2:] - p.box[:, :2]).amax(1)
            middle = (p.box[:, :2] + p.box[:, 2:]) / 2
            centre = uniform(0.02, 0.98, batch, 2, device=device) * 512
            shift = centre - middle * scale[:, None]
            box = torch.cat([p.box[:, :2] * scale[:, None] + shift, p.box[:, 2:] * scale[:, None] + shift], dim=1)
            inside = (box.clamp(0, 512)[:, 2:] - box.clamp(0, 512)[:, :2]).prod(1) / (box[:, 2:] - box[:, :2]).prod(1)
            shown = (torch.rand(batch, device=device) < (0.85 if slot == 0 else 1.0)) & (crowd > slot / (self.slots + 1)) & (inside > 0.55)
            for other, there in zip(boxes, reals, strict=True):
                touching = (torch.minimum(other[:, 2:], box[:, 2:]) > torch.maximum(other[:, :2], box[:, :2])).all(1)
                shown = shown & ~(touching & there)
            picture = paste(picture, p.rgba * shown[:, None, None, None], scale, shift)
            boxes.append(box)
            reals.append(shown)
            points.append(moved(five(p.points68), scale, shift))
        picture = camera(picture)
        mean, deviation = (torch.tensor(v, device=device)[:, None, None] for v in (find_faces._MEAN, find_faces._DEVIATION))
        return (picture - mean) / deviation, torch.stack(boxes, 1), torch.stack(points, 1), torch.stack(reals, 1)

    def step(self, net: nn.Module, bank: Bank, batch: int) -> tuple[Tensor, dict[str, float]]:
        picture, boxes, points, real = self.sample(bank, batch)
        picture = cut(picture, 0.0, 0.3)
        offsets, logits, marks = net(picture)
        anchors = self.anchors.to(picture.device)
        which, sure, none = anchor_targets(boxes / 512, real, anchors, 0.4)
        matched = (boxes / 512).gather(1, which[..., None].expand(-1, -1, 4))
        loss = detection_loss(offsets, logits, matched, sure, none, anchors)
        at = points.flatten(2).gather(1, which[..., None].expand(-1, -1, 10)) / 512
        wanted = (at.unflatten(-1, (5, 2)) - anchors[:, None, :2]) / (0.1 * anchors[:, None, 2:])
        loss = loss + 0.3 * F.smooth_l1_loss(marks[sure], wanted.flatten(-2)[sure], reduction="sum") / 10 / sure.sum().clamp_min(1)
        found = (logits[..., 1] > logits[..., 0] + 0.85)
        return loss, {
            "recall": float(found[sure].float().mean()),
            "false": float((found & none).sum() / batch),
        }


class Points106(Task):
    batch, rate = 48, 3e-3

    def __init__(self) -> None:
        self.network = Landmarks106(8)

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor]:
        p, device = bank.take(batch), bank.drawer.device
        whole = ((p.box[:, :2] + p.box[:, 2:]) / 2, (p.box[:, 2:] - p.box[:, :2]).amax(1))
        close = extent(p.points106)
        first = torch.rand(batch, device=device) < 0.5
        middle = torch.where(first[:, None], whole[0], close[0])
        side = torch.where(first, whole[1], close[1]) * points106.ENLARGE
        side = side * uniform(0.85, 1.18, batch, device=device)
        middle = middle + (torch.rand(batch, 2, device=device) - 0.5) * 0.16 * side[:, None]
        picture, scale, shift = crop(p, middle, side, 224)
        mean = torch.tensor(points106.MEAN, device=device)[:, None, None] / 255
        return cut(picture - mean, 0.0, 0.2), moved(p.points106, scale, shift)

    def step(self, net: nn.Module, bank: Bank, batch: int) -> tuple[Tensor, dict[str, float]]:
        picture, points = self.sample(bank, batch)
        away = (net(picture).unflatten(1, (106, 2)) * 224 - points).norm(dim=-1)
        return away.clamp_max(60).mean(), {"pixels": float(away.mean())}


class Confirm(Task):
    batch, rate = 48, 1.5e-3

    def __init__(self) -> None:
        self.network = S3FD(3)
        for module in self.network.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            self.network.conv1_1.weight /= 60
            for name, module in self.network.named_modules():
                if name.endswith("_mbox_conf") or name.endswith("_mbox_loc"):
                    module.weight *= 0.02
        self.anchors = torch.as_tensor(points68._cells())

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        p, device = bank.take(batch), bank.drawer.device
        marks = five(p.points68)
        centre = marks.mean(1)
        size = ((marks - centre[:, None]).square().sum((1, 2)) / 5).sqrt()
        side = 4.4 * size
        middle = centre + size[:, None] * torch.tensor([0.1, 0.0], device=device)
        side = side * uniform(0.8, 1.25, batch, device=device)
        middle = middle + (torch.rand(batch, 2, device=device) - 0.5) * 0.2 * side[:, None]
        shown = torch.rand(batch, device=device) < 0.8
        picture, scale, shift = crop(p, middle, side, 224, shown)
        around, longer = extent(moved(p.points68, scale, shift))
        inner = longer * WINDOW * 195 / 400
        around = around + torch.stack([torch.zeros_like(inner), 0.12 * inner], 1)
        box = torch.cat([around - inner[:, None] / 2, around + inner[:, None] / 2], 1)
        picture = cut(picture, 0.0, 0.25).flip(1) * 255 - torch.tensor([104.0, 117, 123], device=device)[:, None, None]
        return picture, box, shown

    def step(self, net: nn.Module, bank: Bank, batch: int) -> tuple[Tensor, dict[str, float]]:
        picture, box, shown = self.sample(bank, batch)
        offsets, logits = net(picture)
        anchors = self.anchors.to(picture.device)
        which, sure, none = anchor_targets(box[:, None], shown[:, None], anchors, 0.35)
        matched = box[:, None].expand(-1, anchors.shape[0], -1)
        loss = detection_loss(offsets, logits, matched, sure, none, anchors)
        rate = logits[..., 1] - logits[..., 0]
        top, at = rate.max(1)
        chosen, cell = offsets[torch.arange(batch, device=at.device), at], anchors[at]
        middle = cell[:, :2] + 0.1 * chosen[:, :2] * cell[:, 2:]
        away = (middle - (box[:, :2] + box[:, 2:]) / 2).norm(dim=-1)[shown]
        return loss, {
            "seen": float((top > 0)[shown].float().mean()),
            "ghosts": float((top > 0)[~shown].float().mean()),
            "pixels": float(away.mean()),
        }


class Points68(Task):
    batch, rate = 32, 3e-3

    def __init__(self) -> None:
        self.network = FAN(1, 24)

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor]:
        p, device = bank.take(batch), bank.drawer.device
        middle, longer = extent(p.points68)
        side = longer * WINDOW * uniform(0.85, 1.2, batch, device=device)
        middle = middle + (torch.rand(batch, 2, device=device) - 0.5) * 0.12 * side[:, None]
        picture, scale, shift = crop(p, middle, side, 256)
        return cut(picture, 0.0, 0.25), moved(p.points68, scale, shift)

    def step(self, net: nn.Module, bank: Bank, batch: int) -> tuple[Tensor, dict[str, float]]:
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
        return loss[inside].mean(), {"cells": float(away.mean())}


class Reconstruct(Task):
    batch, rate = 48, 2e-3

    def __init__(self) -> None:
        self.network = CoefficientNet(4)
        for head in self.network.final_layers:
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        p, d = bank.take(batch), bank.drawer
        standard = five(d.mean.reshape(1, -1, 3)[:, d.landmarks])[0]
        lifted = torch.cat([standard, torch.ones(5, 1, device=d.device)], dim=1).double()
        noise = uniform(0, 2.5, batch, 1, 1, device=d.device) * torch.randn(batch, 5, 2, device=d.device)
        marks = five(p.points68) + noise
        upward = marks * torch.tensor([1.0, -1.0], device=d.device)
        solution = (torch.linalg.pinv(lifted).float() @ upward)
        found = solution[:, :3].norm(dim=1).mean(1)
        scale = 102 / found
        tx, ty = solution[:, 3, 0], -solution[:, 3, 1]
        shift = 112 - torch.stack([tx, ty + 1], 1) * scale[:, None]
        picture = camera(paste(backgrounds(batch, 224, d.device), p.rgba, scale, shift))
        picture = cut(picture, 0.0, 0.15)
        flat = project(d.turned(d.shape(p.vector), p.vector) + p.vector[:, None, 254:257]) * (SIDE / 224)
        return picture, p.vector, moved(flat, scale, shift), p.points68

    def step(self, net: nn.Module, bank: Bank, batch: int) -> tuple[Tensor, dict[str, float]]:
        d = bank.drawer
        picture, vector, flat, _ = self.sample(bank, batch)
        found = net(picture)
        mine = d.turned(d.shape(found), found)
        true = d.turned(d.shape(vector), vector)
        seen = project(mine + found[:, None, 254:257])
        vertices = (mine - true).norm(dim=-1)
        places = (seen - flat).norm(dim=-1)
        plain = (d.shape(found) - d.shape(vector)).norm(dim=-1)
        light = F.smooth_l1_loss(found[:, 227:254], vector[:, 227:254]) * 20
        colour = F.smooth_l1_loss(found[:, 144:150], vector[:, 144:150])
        quiet = found[:, 150:224].square().mean() + 0.01 * found[:, :144].square().mean()
        turn = (found[:, 224:227] - vector[:, 224:227]).abs().mean()
        loss = vertices.mean() * 50 + plain.mean() * 20 + places.mean() + places[:, d.landmarks].mean() + light + colour + quiet + 10 * turn
        width = 1.6
        return loss, {
            "landmarks": float(places[:, d.landmarks].mean()),
            "vertices%": float(vertices.mean() / width * 100),
            "shape%": float(plain.mean() / width * 100),
            "degrees": float(turn * 57.3),
        }


class Refine(Task):
    """mid_net and high_net: how far the skin lies off the coarse face, from the light on it."""

    def __init__(self, fine: bool) -> None:
        self.fine = fine
        self.network = ResidualGenerator(9 if fine else 6, 1 if fine else 3, 2)
        self.batch, self.rate, self.side = (12, 2e-3, 256) if fine else (32, 2e-3, 64)

    def step(self, net: nn.Module, bank: Bank, batch: int) -> tuple[Tensor, dict[str, float]]:
        d, device = bank.drawer, bank.drawer.device
        vector = d.random(batch, 0.7)
        shape = d.shape(vector)
        cells = 24 if self.fine else 7
        bumps = F.interpolate(torch.randn(batch, 1, cells, cells, device=device), size=(65, 57), mode="bicubic")
        # Vertices run from the top row down, left to right.
        far = (0.012 if self.fine else 0.03) * torch.rand(batch, 1, device=device) * bumps.flatten(1)
        normal = d.normals(shape)
        with torch.no_grad():
            patches = d.draw(vector, shape + far[..., None] * normal)
            picture = camera(paste(backgrounds(batch, SIDE, device), patches.rgba, torch.ones(batch, device=device), torch.zeros(batch, 2, device=device)))
            world = d.turned(shape, vector) + vector[:, None, 254:257]
            seen = project(world) * (SIDE / 224)

            def uv(values: Tensor) -> Tensor:
                """[N, V, C] → [N, C, side, side]; the mesh fills 0.02..0.98 of the square."""
                maps = values.unflatten(1, (65, 57)).permute(0, 3, 1, 2)
                axis = (torch.arange(self.side, device=device) + 0.5) / self.side * 2 - 1
                y, x = torch.meshgrid(axis / 0.96, axis / 0.96, indexing="ij")
                grid = torch.stack([x, y], -1)[None].expand(batch, -1, -1, -1)
                return F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=True)

            at = (uv(seen).permute(0, 2, 3, 1) + 0.5) / SIDE * 2 - 1
            texture = F.grid_sample(picture, at, padding_mode="border", align_corners=False) * 2 - 1
            maps = [uv(shape), texture]
            if self.fine:
                maps.append(torch.zeros_like(texture))
            wanted = uv(far[..., None]) if self.fine else uv(far[..., None] * normal)
        found = 0.1 * net(torch.cat(maps, 1))
        loss = (found - wanted).abs().mean() * 1000
        return loss, {"micron": float(loss.detach()) * 100, "of": float(wanted.abs().mean()) * 1e5}


class Retouch(Task):
    batch, rate = 8, 2e-3

    def __init__(self) -> None:
        self.network = DeRetouchNet(2)

    def step(self, net: nn.Module, bank: Bank, batch: int) -> tuple[Tensor, dict[str, float]]:
        """Blemishes on smooth skin: the soft light that takes them away again, so that their ratio is the detail."""
        d, device = bank.drawer, bank.drawer.device
        side = 512
        p = bank.take(batch)
        middle, longer = extent(p.points68)
        scale = side / longer
        smooth = paste(backgrounds(batch, side, device), p.rgba, scale, side / 2 - middle * scale[:, None]).clamp(0.02, 1)
        spots = torch.zeros(batch, 1, side, side, device=device)
        for cells in (40, 90, 180):
            spots = spots + F.interpolate((torch.rand(batch, 1, cells, cells, device=device) < 0.02).float(), size=(side, side), mode="bicubic").clamp_min(0)
        seen = (smooth * (1 - 0.35 * torch.rand(batch, 1, 1, 1, device=device) * spots.clamp(0, 1))).clamp(0.01, 1)
        layer = net(seen * 2 - 1)
        lit = (1 - 2 * layer) * seen * seen + 2 * layer * seen
        loss = (lit - smooth).abs().mean() * 100
        return loss, {"loss%": float(loss.detach()), "left%": float((seen - smooth).abs().mean() * 100)}


TASKS: dict[str, Any] = {
    "retinaface": Find,
    "landmarks106": Points106,
    "s3fd": Confirm,
    "fan": Points68,
    "net_recon": Reconstruct,
    "mid_net": lambda: Refine(False),
    "high_net": lambda: Refine(True),
    "de_retouch": Retouch,
}
