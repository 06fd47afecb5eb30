"""What training minimises: the alpha, its edges at several scales, and a cross entropy that keeps it decided."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def matting_loss(logits: Tensor, truth: Tensor, counted: Tensor, cross_entropy: float) -> Tensor:
    """Scalar; all [N, 1, H, W] float32, `truth` 0..1, `counted` 1 where a pixel belongs to the picture.

    The cross entropy, weighted by `cross_entropy`, moves what is wrong and sure of itself, but its best answer to a
    doubt is the odds, half of a person; the absolute error's is one side or the other.
    """
    alpha = torch.sigmoid(logits)
    share = counted.mean().clamp(min=0.05)
    off = (alpha - truth) * counted
    plain = off.abs().mean()
    entropy = (F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * counted).mean()
    edges = off.new_zeros(())
    for scale in range(3):
        # Differences of the error are errors of the gradient; halving the picture asks the same of broader edges.
        across = (off[..., 1:] - off[..., :-1]).abs().mean()
        down = (off[..., 1:, :] - off[..., :-1, :]).abs().mean()
        edges = edges + (across + down) / 2**scale
        off = F.avg_pool2d(off, 2)
    total: Tensor = (plain + edges + cross_entropy * entropy) / share
    return total


def coarse_loss(guesses: list[Tensor], truth: Tensor, counted: Tensor) -> Tensor:
    """Mean cross entropy of logits [N, 1, h, w] at several smaller sizes against the alpha's area means there."""
    total = truth.new_zeros(())
    for guess in guesses:
        size = guess.shape[-2:]
        part, weight = F.adaptive_avg_pool2d(truth, size), F.adaptive_avg_pool2d(counted, size)
        entropy = F.binary_cross_entropy_with_logits(guess.float(), part, reduction="none")
        total = total + (entropy * weight).mean() / weight.mean().clamp(min=0.05) / len(guesses)
    return total
