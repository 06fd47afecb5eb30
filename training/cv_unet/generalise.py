"""What keeps a network trained on drawings from learning the drawings: noise in what it must not rely on.

Drawn textures and colour statistics are unlike a photograph's however hard one tries, so both are disturbed while
training, which leaves shape and boundary to decide by: random convolutions of the picture (Xu et al., "Robust and
Generalizable Visual Representation Learning via Random Convolutions", ICLR 2021, arXiv 2007.13003) and feature
statistics exchanged between pictures (Zhou et al., "Domain Generalization with MixStyle", ICLR 2021, arXiv 2104.02008).
"""

from __future__ import annotations

import random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MIX_CHANCE = 0.5
MIX_SPREAD = 0.1
"""Beta(0.1, 0.1): mostly one picture's statistics or the other's, seldom between."""


def random_convolution(image: Tensor, share: float) -> Tensor:
    """[B, 3, s, s] in 0..1; a `share` of the pictures filtered by a random kernel of their own and mixed in, in 0..1.

    Each filtered picture is brought back to its own mean and spread, so that only its texture and hues are new.
    """
    batch, _, height, width = image.shape
    kernel = random.choice((1, 3, 5))
    weight = torch.randn(batch * 3, 3, kernel, kernel, device=image.device) / (3 * kernel * kernel) ** 0.5
    padded = F.pad(image, (kernel // 2,) * 4, mode="replicate")
    changed = F.conv2d(padded.reshape(1, batch * 3, *padded.shape[-2:]), weight, groups=batch)
    changed = changed.view(batch, 3, height, width)
    axes = (1, 2, 3)
    spread = changed.std(axes, keepdim=True) + 1e-4
    changed = (changed - changed.mean(axes, keepdim=True)) / spread * image.std(axes, keepdim=True)
    changed = changed + image.mean(axes, keepdim=True)
    shape = (batch, 1, 1, 1)
    chosen = (torch.rand(shape, device=image.device) < share).float()
    return torch.lerp(image, changed, chosen * torch.rand(shape, device=image.device)).clamp(0, 1)


def mix_statistics(blocks: list[nn.Module]) -> None:
    """While training, exchange the channel means and spreads of these blocks' outputs between pictures of a batch."""
    for block in blocks:
        block.register_forward_hook(_mixed)


def _mixed(module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
    if not module.training or not torch.is_grad_enabled() or random.random() > MIX_CHANCE:
        return output
    spread, mean = torch.std_mean(output.detach().float(), (2, 3), keepdim=True)
    spread = spread + 1e-3
    partner = torch.randperm(len(output), device=output.device)
    shares = torch.distributions.Beta(MIX_SPREAD, MIX_SPREAD).sample((len(output), 1, 1, 1)).to(output.device)
    new_mean = torch.lerp(mean[partner], mean, shares)
    new_spread = torch.lerp(spread[partner], spread, shares)
    return ((output - mean) / spread * new_spread + new_mean).to(output.dtype)
