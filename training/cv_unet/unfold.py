"""Weights that ship made trainable again: batch norms put back between convolutions that had them folded in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from trtkit.models.cv_unet.network import MattingUNet

Pair = tuple[nn.Conv2d, nn.Conv2d, nn.BatchNorm2d]
"""A folded convolution, and the convolution and norm that stand for it."""


@torch.no_grad()
def unfold(folded: MattingUNet, pictures: Iterable[Tensor]) -> MattingUNet:
    """A `norm=True` network that computes what `folded` (`norm=False`) computes, exactly in eval mode, and on pictures
    like `pictures` (float32 [N, 3, H, W] in -1..1) very nearly in training mode.

    A norm takes its batch's mean and spread away and gives its own instead: with those that the convolution has on
    `pictures` it changes nothing. Each output channel's weights are scaled to a spread of 1, as training leaves them.
    Raises ValueError without pictures.
    """
    trained = MattingUNet(replace(folded.config, norm=True)).to(next(folded.parameters()).device)
    trained.head.load_state_dict(folded.head.state_dict())
    pairs = list(_pairs(folded, trained))
    sums = {bare: torch.zeros(3, bare.out_channels, dtype=torch.float64) for bare, _, _ in pairs}

    def note(bare: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        plain = (output.double() - bare.bias.double()[:, None, None]).transpose(0, 1).flatten(1)  # type: ignore[operator,union-attr]
        count = torch.full_like(plain[:, 0], plain.shape[1])
        sums[bare] += torch.stack([count, plain.sum(1), plain.square().sum(1)]).cpu()  # type: ignore[index]

    hooks = [bare.register_forward_hook(note) for bare, _, _ in pairs]
    folded.eval()
    for picture in pictures:
        folded.logits(picture)
    for hook in hooks:
        hook.remove()
    for bare, conv, norm in pairs:
        count, total, squares = sums[bare]
        if not count.all():
            raise ValueError("unfold needs a picture at least")
        mean = total / count
        spread = (squares / count - mean.square()).clamp(min=1e-8).sqrt()
        conv.weight.copy_(bare.weight / spread.to(bare.weight)[:, None, None, None])
        norm.running_mean.copy_(mean / spread)  # type: ignore[union-attr]
        norm.running_var.fill_(1 - norm.eps)  # type: ignore[union-attr]
        norm.weight.copy_(spread)
        norm.bias.copy_(mean + bare.bias.cpu())  # type: ignore[union-attr]
    return trained


def _pairs(folded: MattingUNet, trained: MattingUNet) -> Iterator[Pair]:
    for bare, normed in zip((*folded.encoder, *folded.decoder), (*trained.encoder, *trained.decoder), strict=True):
        with_norm = [
            (conv, norm)
            for conv, norm in pairwise(normed.children())
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        ]
        alone = [layer for layer in bare.children() if isinstance(layer, nn.Conv2d)]
        for source, (conv, norm) in zip(alone, with_norm, strict=True):
            yield source, conv, norm
