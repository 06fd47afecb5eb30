"""RetinaFace and S³FD: faces among anchors."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.hrn.crops import WINDOW, Bank, Step, crop, extent, five, moved
from training.hrn.scenes import cut, letterbox, paste, sometimes, uniform
from trtkit.models.hrn import find_faces, points68
from trtkit.models.hrn.networks.retinaface import RetinaFace
from trtkit.models.hrn.networks.s3fd import S3FD

_SIZES = ((9, 22), (20, 50), (40, 100), (80, 180), (60, 240), (160, 480))
"""Of faces on RetinaFace's square of 512, least and most."""


def anchor_targets(boxes: Tensor, real: Tensor, anchors: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes [B, K, 4] (corners), `real` [B, K], anchors [P, 4] (centre and size) → of each anchor [B, P]: its box's
    number, whether it overlaps it by more than `least` or is the best there is for it, and whether it is background."""
    corners = torch.cat([anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], dim=1)
    low = torch.maximum(boxes[:, :, None, :2], corners[None, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], corners[None, None, :, 2:])
    shared = (high - low).clamp_min(0).prod(-1)
    area = (boxes[..., 2:] - boxes[..., :2]).clamp_min(1e-6).prod(-1)
    overlap = shared / (area[..., None] + anchors[:, 2:].prod(-1) - shared) * real[..., None]
    best, which = overlap.max(dim=1)
    top = overlap.argmax(dim=2)
    forced = torch.zeros_like(best).scatter_reduce(1, top, real.float(), "amax") > 0
    numbers = torch.where(real, torch.arange(boxes.shape[1], device=boxes.device), -1)
    owner = torch.zeros_like(which).scatter_reduce(1, top, numbers, "amax")
    return torch.where(forced, owner.clamp_min(0), which), (best > least) | forced, (best < least - 0.1) & ~forced


def detection_loss(
    offsets: Tensor, logits: Tensor, matched: Tensor, sure: Tensor, none: Tensor, anchors: Tensor
) -> Tensor:
    """Cross entropy over the faces and the hardest backgrounds, and the distance of the offsets [B, P, 4] from those of
    the boxes `matched` [B, P, 4]."""
    rate = (logits[..., 1] - logits[..., 0]).float()
    plus, minus = F.softplus(-rate), F.softplus(rate)
    count = sure.sum().clamp_min(1)
    hardest = torch.where(none, minus, torch.zeros_like(minus)).flatten()
    most = min(int(5 * count) + 16 * len(logits), hardest.numel())
    scores = plus[sure].sum() + hardest.topk(most).values.sum()
    middle = (matched[..., :2] + matched[..., 2:]) / 2
    size = (matched[..., 2:] - matched[..., :2]).clamp_min(1e-4)
    wanted = [(middle - anchors[:, :2]) / (0.1 * anchors[:, 2:]), (size / anchors[:, 2:]).log() / 0.2]
    boxes = F.smooth_l1_loss(offsets[sure].float(), torch.cat(wanted, dim=-1)[sure], reduction="sum", beta=0.3)
    return (scores + boxes) / count


class Find:
    """RetinaFace: any number of faces of 9 to 480 pixels on pictures of 512."""

    batch, rate, every, slots = 48, 3e-3, 64, 8

    def __init__(self) -> None:
        self.network: nn.Module = RetinaFace(4)
        self.anchors = torch.as_tensor(find_faces.priors())

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(pictures as the network sees them, boxes [B, K, 4] and points [B, K, 5, 2] in pixels, which show [B, K])."""
        device = bank.drawer.device
        picture = bank.behind(batch, 512)
        half = letterbox(batch, device)
        boxes: list[Tensor] = []
        points: list[Tensor] = []
        reals: list[Tensor] = []
        crowd = torch.rand(batch, device=device)
        for slot in range(self.slots):
            p = bank.take(batch)
            # A picture of one person is mostly that person: the first face is often a large one.
            level = (slot + np.random.randint(0, 5)) % 5 if slot else np.random.choice([1, 2, 3, 4, 5, 5, 5])
            low, high = _SIZES[level]
            size = low * (high / low) ** torch.rand(batch, device=device)
            scale = size / (p.box[:, 2:] - p.box[:, :2]).amax(1)
            middle = (p.box[:, :2] + p.box[:, 2:]) / 2
            # Anywhere, but a large face not so far out that half of it is gone.
            reach = (half - 10 - 0.3 * size[:, None]).clamp_min(12)
            shift = 256 + uniform(-1, 1, batch, 2, device=device) * reach - middle * scale[:, None]
            box = p.box * scale[:, None] + shift.repeat(1, 2)
            inside = torch.minimum(torch.maximum(box, 256 - half.repeat(1, 2)), 256 + half.repeat(1, 2))
            share = (inside[:, 2:] - inside[:, :2]).prod(1) / (box[:, 2:] - box[:, :2]).prod(1)
            shown = (crowd > slot / (self.slots + 1)) & (share > 0.55)
            if slot == 0:
                shown = shown & (torch.rand(batch, device=device) < 0.85)
            for other, there in zip(boxes, reals, strict=True):
                apart = (torch.minimum(other[:, 2:], box[:, 2:]) <= torch.maximum(other[:, :2], box[:, :2])).any(1)
                shown = shown & (apart | ~there)
            picture = paste(picture, p.rgba * shown[:, None, None, None], scale, shift)
            boxes.append(box)
            reals.append(shown)
            points.append(moved(five(p.points68), scale, shift))
        mean = torch.tensor(find_faces.MEAN, device=device)[:, None, None]
        deviation = torch.tensor(find_faces.DEVIATION, device=device)[:, None, None]
        seen = (sometimes(picture) - mean) / deviation
        axis = (torch.arange(512, device=device) + 0.5 - 256).abs()
        shown = (axis < half[..., None]).float()
        seen = seen * (shown[:, 0, None, :] * shown[:, 1, :, None])[:, None]
        return seen, torch.stack(boxes, 1), torch.stack(points, 1), torch.stack(reals, 1)

    def step(self, net: nn.Module, bank: Bank, batch: int) -> Step:
        picture, boxes, points, real = self.sample(bank, batch)
        offsets, logits, marks = net(picture)
        anchors = self.anchors.to(picture.device)
        which, sure, none = anchor_targets(boxes / 512, real, anchors, 0.4)
        matched = (boxes / 512).gather(1, which[..., None].expand(-1, -1, 4))
        loss = detection_loss(offsets, logits, matched, sure, none, anchors)
        at = points.flatten(2).gather(1, which[..., None].expand(-1, -1, 10)) / 512
        wanted = (at.unflatten(-1, (5, 2)) - anchors[:, None, :2]) / (0.1 * anchors[:, None, 2:])
        away = F.smooth_l1_loss(marks[sure], wanted.flatten(-2)[sure], reduction="sum")
        loss = loss + 0.3 * away / 10 / sure.sum().clamp_min(1)
        found = logits[..., 1] > logits[..., 0] + 0.85
        return loss, {"recall": found[sure].float().mean(), "false": (found & none).sum() / batch}


class Confirm:
    """S³FD: the one face of the square around five points, as the box from which FAN's window follows."""

    batch, rate, every = 48, 1.5e-3, 4

    def __init__(self) -> None:
        network = S3FD(3)
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight)
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            network.conv1_1.weight /= 60
            for name, module in network.named_modules():
                if name.endswith(("_mbox_conf", "_mbox_loc")):
                    module.weight *= 0.02
        self.network: nn.Module = network
        self.anchors = torch.as_tensor(points68.cells())

    def sample(self, bank: Bank, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """(pictures as the network sees them, box [B, 4], whether a face is there [B])."""
        p, device = bank.take(batch), bank.drawer.device
        marks = five(p.points68)
        centre = marks.mean(1)
        size = ((marks - centre[:, None]).square().sum((1, 2)) / 5).sqrt()
        side = 4.4 * size
        middle = centre + size[:, None] * torch.tensor([0.1, 0.0], device=device)
        side = side * uniform(0.8, 1.25, batch, device=device)
        middle = middle + (torch.rand(batch, 2, device=device) - 0.5) * 0.2 * side[:, None]
        shown = torch.rand(batch, device=device) < 0.8
        picture, scale, shift = crop(bank, p, middle, side, 224, shown)
        around, longer = extent(moved(p.points68, scale, shift))
        # points68.window_of, the other way round.
        inner = longer * WINDOW * 195 / 400
        around = around + torch.stack([torch.zeros_like(inner), 0.12 * inner], 1)
        box = torch.cat([around - inner[:, None] / 2, around + inner[:, None] / 2], 1)
        mean = torch.tensor([104.0, 117, 123], device=device)[:, None, None]
        return cut(picture, 0.0, 0.25).flip(1) * 255 - mean, box, shown

    def step(self, net: nn.Module, bank: Bank, batch: int) -> Step:
        picture, box, shown = self.sample(bank, batch)
        offsets, logits = net(picture)
        anchors = self.anchors.to(picture.device)
        _, sure, none = anchor_targets(box[:, None], shown[:, None], anchors, 0.35)
        matched = box[:, None].expand(-1, anchors.shape[0], -1)
        loss = detection_loss(offsets, logits, matched, sure, none, anchors)
        top, at = (logits[..., 1] - logits[..., 0]).max(1)
        chosen, cell = offsets[torch.arange(batch, device=at.device), at], anchors[at]
        middle = cell[:, :2] + 0.1 * chosen[:, :2] * cell[:, 2:]
        away = (middle - (box[:, :2] + box[:, 2:]) / 2).norm(dim=-1)[shown]
        return loss, {
            "seen": (top > 0)[shown].float().mean(),
            "ghosts": (top > 0)[~shown].float().mean(),
            "pixels": away.detach().mean(),
        }
