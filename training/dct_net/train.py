"""Distil the embedded cartoon networks: `python -m training.dct_net.train --out FOLDER`.

Writes FOLDER/background.safetensors, FOLDER/head.safetensors (FP16) and FOLDER/card.md. Small batches of small crops:
a CPU core needs about a quarter of an hour for each network. `--smoke` runs the whole chain at toy size.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from training.dct_net import pictures
from training.dct_net.teacher import STYLES, Style, cartoon
from trtkit.models.dct_net.network import Generator, GeneratorConfig, GuidedFilter


@dataclass(frozen=True)
class Plan:
    """Everything that decides what comes out, the machine's arithmetic aside."""

    seed: int = 4
    steps: int = 8000
    rate: float = 8e-4
    side: int = 96
    batch: int = 2
    bank: int = 2400  # crops drawn once, with their teacher's cartoons; seen mirrored and turned by right angles
    scenes: int = 60
    scene_side: int = 384
    average: float = 0.998
    network: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(channels=16))


SMOKE = Plan(steps=6, side=64, batch=2, bank=8, scenes=2, scene_side=160, network=GeneratorConfig(channels=4, blocks=1))


def initialised(config: GeneratorConfig) -> Generator:
    """A generator whose activations keep their size from layer to layer, residual branches starting small.

    Weights are split into length and direction (Salimans and Kingma, 2016) while training: with nothing in the network
    that normalises, plain ones diverged. `plain` joins them again.
    """
    net = Generator(config)
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=0.2)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
            if name.endswith("conv2") or name == "leave":
                module.weight.data *= 0.2
            parametrizations.weight_norm(module)
    return net


def plain(net: Generator) -> Generator:
    """The same function with ordinary weights."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            parametrize.remove_parametrizations(module, "weight")
    return net


def draw_bank(crops: pictures.Crops, style: Style, plan: Plan) -> tuple[Tensor, Tensor]:
    """(crops, cartoons), both float16 [bank, 3, side, side] in -1..1."""
    inputs, targets = [], []
    for start in range(0, plan.bank, plan.batch):
        x = crops.batch(min(plan.batch, plan.bank - start), plan.side)
        inputs.append(x.half())
        targets.append(cartoon(x, style).half())
    return torch.cat(inputs), torch.cat(targets)


def distil(crops: pictures.Crops, style: Style, plan: Plan) -> Generator:
    """The averaged network after `plan.steps`."""
    torch.manual_seed(plan.seed)
    began = time.monotonic()
    inputs, targets = draw_bank(crops, style, plan)
    _say(f"bank of {plan.bank} drawn after {time.monotonic() - began:.0f} s")
    net = initialised(plan.network)
    mean = copy.deepcopy(net).requires_grad_(False)
    guided = GuidedFilter()
    optimizer = torch.optim.AdamW(net.parameters(), plan.rate, betas=(0.9, 0.99), weight_decay=1e-4)
    for step in range(plan.steps):
        rate = plan.rate * min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * step / plan.steps)) + 1e-6
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = torch.randint(plan.bank, (plan.batch,))
        x, wanted = _turned(inputs[chosen].float(), targets[chosen].float())
        loss = distance(guided(x, net(x)), wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        optimizer.step()
        keep = min(plan.average, (1 + step) / (20 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(mean.parameters()), list(net.parameters()), 1 - keep)
        if (step + 1) % 250 == 0:
            shown = loss.item()
            _say(f"step {step + 1} loss {shown:.4f} after {time.monotonic() - began:.0f} s")
            if not shown < 4:
                raise ArithmeticError(f"step {step + 1}: loss {shown:g}, the run has diverged; lower Plan.rate")
    return plain(mean)


def distance(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared error, for the PSNR, and a smooth absolute one, of values and of their steps to the next pixel."""
    gap = found - wanted
    across, down = gap[..., 1:] - gap[..., :-1], gap[..., 1:, :] - gap[..., :-1, :]
    return 4 * gap.square().mean() + _absolute(gap) + 0.5 * (_absolute(across) + _absolute(down))


def _absolute(gap: Tensor) -> Tensor:
    return (gap.square() + 1e-4).sqrt().mean()


def _turned(*images: Tensor) -> tuple[Tensor, ...]:
    """All of them turned by one multiple of 90° and perhaps mirrored: the teacher does not care."""
    quarter, mirrored = int(torch.randint(4, ())), bool(torch.randint(2, ()))
    turned = (torch.rot90(image, quarter, (2, 3)) for image in images)
    return tuple(image.flip(3) if mirrored else image for image in turned)


def save(net: Generator, path: Path) -> None:
    """The shipped form: FP16."""
    half = {name: tensor.half().contiguous() for name, tensor in net.state_dict().items()}
    if not all(torch.isfinite(tensor).all() for tensor in half.values()):
        raise OverflowError(f"{path}: a weight is beyond FP16; train with more weight decay")
    save_file(half, path)


def train(plan: Plan, out: Path) -> None:
    """Both networks, one after the other."""
    out.mkdir(parents=True, exist_ok=True)
    seeds = np.random.SeedSequence(plan.seed).spawn(plan.scenes)
    with ThreadPoolExecutor() as pool:
        scenes = list(pool.map(lambda seed: pictures.drawn(np.random.default_rng(seed), plan.scene_side), seeds))
    # Half of the crops from photographs, half from drawn scenes.
    photographs = pictures.photographs()
    crops = pictures.Crops([*photographs * max(1, len(scenes) // len(photographs)), *scenes])
    for name, style in STYLES.items():
        save(distil(crops, style, plan), out / f"{name}.safetensors")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=Path("build/dct_net"))
    options.add_argument("--steps", type=int, default=Plan.steps)
    options.add_argument("--smoke", action="store_true", help="toy size")
    given = options.parse_args()
    from training.dct_net import card

    plan = SMOKE if given.smoke else replace(Plan(), steps=given.steps)
    train(plan, given.out)
    card.write(given.out, plan)


if __name__ == "__main__":
    main()
