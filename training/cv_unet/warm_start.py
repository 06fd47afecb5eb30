"""Begin a run with weights that were trained before, in the form they ship in."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from training.cv_unet.losses import coarse_loss
from training.cv_unet.unfold import unfold
from trtkit.models.cv_unet.network import MattingUNet
from trtkit.models.cv_unet.source import config_of

if TYPE_CHECKING:
    from training.cv_unet.frames import Pool
    from training.cv_unet.train import Run

_PICTURES = 14
"""Batches that the norms take their statistics from."""
_HEADS = 100
"""Steps of the heads alone, before their guesses may move the network."""
_HEADS_RATE = 5e-3


def warm_start(weights: Path, run: Run, pool: Pool) -> None:
    """Give the network of `run` and its average what `weights` (folded, FP16) compute, and its heads a first idea.

    Raises ValueError if the weights are of another size than the run's network.
    """
    state = load_file(weights)
    folded = MattingUNet(config_of(state, weights)).to(run.device)
    folded.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    if folded.config.channels() != run.plan.network.channels():
        raise ValueError(f"{weights} has channels {folded.config.channels()}, the run {run.plan.network.channels()}")
    batches = _batches(run, pool)
    unfolded = unfold(folded, (image * 2 - 1 for image, _, _ in islice(batches, _PICTURES))).state_dict()
    for network in (run.net, run.mean):
        network.load_state_dict(unfolded)
    _settle_heads(run, pool)


def _settle_heads(run: Run, pool: Pool) -> None:
    optimizer = torch.optim.AdamW(run.heads.parameters(), _HEADS_RATE)
    run.net.eval().requires_grad_(False)
    for image, alpha, counted in islice(_batches(run, pool), _HEADS):
        loss = coarse_loss(run.guesses(image * 2 - 1), alpha, counted)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    run.net.requires_grad_(True)


def _batches(run: Run, pool: Pool) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    while True:
        for size, count in run.plan.sizes:
            yield pool.batch(count, size)
