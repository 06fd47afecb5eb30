"""Train the embedded matting network: `python -m training.cv_unet.train [--out FOLDER]`.

Two runs: PLAN from nothing in FOLDER/first, then FINE_TUNING from what that gave in FOLDER/fine_tuned, on drawings with
more in them. Writes FOLDER/matting.safetensors (batch norm folded, FP16) and FOLDER/card.md; `--smoke SECONDS` runs the
whole chain at toy size on a CPU. A run interrupted by `--stop-after` or a crash goes on from its checkpoint.pt.
"""

from __future__ import annotations

import argparse
import copy
import math
import random
import shutil
import sys
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from training.cv_unet.frames import Pool
from training.cv_unet.generalise import mix_statistics, random_convolution
from training.cv_unet.losses import coarse_loss, matting_loss
from training.cv_unet.warm_start import warm_start
from trtkit.models.cv_unet.fold import fold
from trtkit.models.cv_unet.network import MattingUNet, UNetConfig


@dataclass(frozen=True)
class Plan:
    """Everything that decides what comes out, the device's arithmetic aside."""

    seed: int = 3
    steps: int = 10_225
    rate: float = 1.5e-3
    decay: float = 1e-3
    canvas: int = 512  # pixels at which figures are drawn before they are shrunk to a working size
    people: int = 5760
    places: int = 2880
    redraw_every: int = 32  # steps between two draws of `draw` new people, and as many between draws of places
    draw: int = 48
    laden: float = 0.0  # share of people with gear and held things, and of places with flags and stands
    # Working size and batch; the two largest twice as often, since there the network has most to take together.
    sizes: tuple[tuple[int, int], ...] = (
        (256, 64), (320, 48), (384, 40), (448, 32), (448, 32), (512, 24), (512, 24),
    )  # fmt: skip
    random_convolutions: float = 0.3  # share of the pictures
    coarse: float = 0.4  # weight of the guesses at small sizes
    # Weight of the cross entropy: the first for half of the run, then falling to the last at its end, since a network
    # that is unsure of a sleeve should give a sleeve or none, not its ghost.
    cross_entropy: tuple[float, float] = (0.3, 0.02)
    average: float = 0.9997
    # What ships is the averaged network of the end with shares of an earlier one, which had read less into drawings,
    # and of the weights it began with; by an officer's photograph that training never sees (docs/weights.md).
    earlier_at: float = 0.5  # part of the way
    earlier: float = 0.2
    beginning: float = 0.0
    recalibration: int = 60  # batches that the averaged network's norms take their statistics from, at the end
    network: UNetConfig = field(default_factory=lambda: UNetConfig(norm=True))


PLAN = Plan()
FINE_TUNING = Plan(
    seed=17, steps=3_697, rate=5e-4, laden=0.4, people=2880, places=1440, earlier_at=0.75, earlier=0.7, beginning=0.1
)
SMOKE = Plan(
    steps=10**9, earlier_at=0.0, recalibration=2, canvas=64, people=8, places=8, draw=4, sizes=((64, 4),), average=0.9,
    network=UNetConfig(width=4, depth=4, cap=16, norm=True),
)  # fmt: skip


class Run:
    """A training run: network, its averaged copy, optimiser, and the step they are at."""

    def __init__(self, plan: Plan, device: str) -> None:
        torch.manual_seed(plan.seed)
        random.seed(plan.seed)
        self.plan, self.device, self.step = plan, device, 0
        layout = torch.channels_last
        self.net = MattingUNet(plan.network).to(device).to(memory_format=layout)  # type: ignore[call-overload]
        self.mean = copy.deepcopy(self.net).eval().requires_grad_(False)
        mix_statistics(list(self.net.encoder[:3]))
        # While training, each coarse level of the decoder says by itself where the person is, so that the whole body
        # is decided on where all of the picture is in sight; what ships has no such heads.
        channels = plan.network.channels()[-2:1:-1]
        self.heads = nn.ModuleList(nn.Conv2d(count, 1, 1) for count in channels).to(device)
        self._coarse: list[torch.Tensor] = []
        for block, head in zip(self.net.decoder, self.heads, strict=False):
            block.register_forward_hook(partial(self._guess, head))
        self.optimizer = torch.optim.AdamW(
            [*self.net.parameters(), *self.heads.parameters()], plan.rate, weight_decay=plan.decay,
            fused=device == "cuda",
        )  # fmt: skip

    def _guess(self, head: nn.Module, _block: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        self._coarse.append(head(output))

    def guesses(self, image: torch.Tensor) -> list[torch.Tensor]:
        """What the heads say of `image` [N, 3, H, W] in -1..1: logits [N, 1, h, w] at several smaller sizes."""
        self._coarse.clear()
        self.net.logits(image)
        return list(self._coarse)

    def save(self, path: Path) -> None:
        state = {"net": self.net.state_dict(), "mean": self.mean.state_dict(), "opt": self.optimizer.state_dict()}
        unfinished = path.with_suffix(".part")
        torch.save(state | {"heads": self.heads.state_dict(), "step": self.step}, unfinished)
        unfinished.replace(path)

    def restore(self, path: Path) -> None:
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.net.load_state_dict(state["net"])
        self.mean.load_state_dict(state["mean"])
        self.heads.load_state_dict(state["heads"])
        self.optimizer.load_state_dict(state["opt"])
        self.step = state["step"]
        # Go on with other dice than those of the first step.
        torch.manual_seed(self.plan.seed + self.step)
        random.seed(self.plan.seed + self.step)

    def train_step(self, pool: Pool, progress: float) -> torch.Tensor:
        """One step, `progress` 0..1 of the way; returns the loss, not yet waited for."""
        plan = self.plan
        # Held, then let down by half: a rate brought to nothing settles into what is particular to drawings, and the
        # average of what a lively one visits carries over better (Izmailov et al., arXiv 1803.05407).
        warm = min(1.0, (self.step + 1) / 300)
        rate = plan.rate * warm * (0.75 + 0.25 * math.cos(math.pi * min(1.0, progress)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if self.step % plan.redraw_every == 0:
            pool.new_people()
        if self.step % plan.redraw_every == plan.redraw_every // 2:
            pool.new_places()
        size, count = random.choice(plan.sizes)
        image, alpha, counted = pool.batch(count, size)
        self.net.train()
        image = (random_convolution(image, plan.random_convolutions) * 2 - 1).contiguous(
            memory_format=torch.channels_last
        )
        self._coarse.clear()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            logits = self.net.logits(image)
        first, last = plan.cross_entropy
        entropy = first + (last - first) * min(1.0, max(0.0, 2 * progress - 1))
        loss = matting_loss(logits.float(), alpha, counted, entropy)
        loss = loss + plan.coarse * coarse_loss(self._coarse, alpha, counted)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self._average()
        return loss.detach()

    @torch.no_grad()
    def recalibrated(self, pool: Pool) -> MattingUNet:
        """The averaged network with statistics of its own: those of the trained one belong to other weights."""
        net = copy.deepcopy(self.mean)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # the plain mean over the batches
        net.train()
        for _ in range(self.plan.recalibration):
            size, count = random.choice(self.plan.sizes)
            image, _, _ = pool.batch(count, size)
            net.logits(image * 2 - 1)
        return net.eval()

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.plan.average, (1 + self.step) / (20 + self.step))
        floats = [(m, n) for m, n in zip(self.mean.state_dict().values(), self.net.state_dict().values(), strict=True)
                  if m.is_floating_point()]  # fmt: skip
        torch._foreach_lerp_([m for m, _ in floats], [n for _, n in floats], 1 - keep)


def export(trained: MattingUNet, path: Path) -> None:
    """Its weights with the norms folded, FP16. Raises OverflowError if one does not fit FP16."""
    _write(
        {name: tensor.float() for name, tensor in fold(copy.deepcopy(trained).float().cpu()).state_dict().items()}, path
    )


def ship(plan: Plan, out: Path, last: Path, earlier: Path, beginning: Path | None) -> None:
    """`out`, the weights that ship, from those of a run's end, of its way and of its beginning, by the plan's shares.
    Raises OverflowError as `export`."""
    files = {last: 1 - plan.earlier - plan.beginning, earlier: plan.earlier}
    if beginning is not None:
        files[beginning] = plan.beginning
    parts = [(share, load_file(path)) for path, share in files.items()]
    mixed = {name: sum(share * part[name].float() for share, part in parts) for name in parts[0][1]}
    _write(mixed, out)  # type: ignore[arg-type]


def _write(weights: dict[str, torch.Tensor], path: Path) -> None:
    half = {name: tensor.half().contiguous() for name, tensor in weights.items()}
    if not all(torch.isfinite(tensor).all() for tensor in half.values()):
        raise OverflowError(f"{path}: a folded weight is beyond FP16; train with more weight decay")
    save_file(half, path)


def train(
    plan: Plan, out: Path, device: str, seconds: float, by_time: bool = False, beginning: Path | None = None
) -> Run:
    """Until the plan's last step, or `seconds` from now; `by_time` lets the schedule end with the seconds instead. From
    the weights of `beginning`, if given. Writes what ships of this run to matting.safetensors, if it came far enough.
    """
    begin = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    run, checkpoint = Run(plan, device), out / "checkpoint.pt"
    pool = Pool(plan.people, plan.places, plan.canvas, device, plan.draw, plan.laden)
    if checkpoint.exists():
        run.restore(checkpoint)
        if run.step >= plan.steps and (out / "matting.safetensors").exists():
            return run  # what was begun from its weights must find them as they were
    elif beginning is not None:
        warm_start(beginning, run, pool)
    _say(f"pools drawn after {time.monotonic() - begin:.0f} s, at step {run.step}")
    if by_time:  # at least a step, however slow the machine draws
        begin = time.monotonic()
    earlier, last = out / "earlier.safetensors", out / "last.safetensors"
    shown, first = time.monotonic(), run.step
    while run.step < plan.steps and time.monotonic() - begin < seconds:
        progress = (time.monotonic() - begin) / seconds if by_time else run.step / plan.steps
        loss = run.train_step(pool, progress)
        if run.step % 200 == 0:
            now = time.monotonic()
            _say(f"step {run.step} loss {loss.item():.4f} at {(run.step - first) / (now - shown):.1f} steps/s")
            shown, first = now, run.step
        if progress >= plan.earlier_at and not earlier.exists():
            export(run.recalibrated(pool), earlier)
        if run.step % 2500 == 0:
            run.save(checkpoint)
            export(run.recalibrated(pool), last)
    run.save(checkpoint)
    export(run.recalibrated(pool), last)
    if earlier.exists():
        ship(plan, out / "matting.safetensors", last, earlier, beginning)
    return run


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/weights/cv_unet"),
        help="folder for the weights, the card and the checkpoint (default %(default)s)",
    )
    parser.add_argument("--smoke", type=float, metavar="SECONDS", help="train a toy on the CPU for this long")
    parser.add_argument("--stop-after", type=float, default=math.inf, metavar="SECONDS", help="stop here, go on later")
    options = parser.parse_args()
    smoke = options.smoke is not None
    device = "cuda" if torch.cuda.is_available() and not smoke else "cpu"
    plans = (SMOKE, replace(SMOKE, laden=1.0, beginning=0.1)) if smoke else (PLAN, FINE_TUNING)
    if device == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = True
    else:
        torch.set_flush_denormal(True)
    begin = time.monotonic()
    beginning: Path | None = None
    for plan, name in zip(plans, ("first", "fine_tuned"), strict=True):
        left = options.smoke / 2 if smoke else options.stop_after - (time.monotonic() - begin)
        run = train(plan, options.out / name, device, left, by_time=smoke, beginning=beginning)
        _say(f"{name}: {run.step} steps, {time.monotonic() - begin:.0f} s on {device}")
        if run.step < plan.steps and not smoke:
            return
        beginning = options.out / name / "matting.safetensors"
    assert beginning is not None
    shutil.copyfile(beginning, options.out / "matting.safetensors")
    from training.cv_unet.card import write

    write(options.out / "card.md", options.out / "matting.safetensors", plans, small=smoke)


if __name__ == "__main__":
    main()
