"""The card beside the weights: what they were made of, how, how good they are, and what they are not.

`python -m training.cv_unet.card WEIGHTS CARD [LOOKS]` writes it anew from the shipped weights.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.cv_unet import evaluate
from training.cv_unet.scenes import PHOTOGRAPHS

if TYPE_CHECKING:
    from training.cv_unet.train import Plan

_TEXT = """\
# The embedded matting network

A small U-Net of trtkit's own ({millions:.2f} million parameters, {megabytes:.1f} MB in FP16): an RGB portrait in, its
alpha out. It is **not** the official cv_unet model and shares nothing with it but the task and the contract.

- weights: sha256 `{sha256}`
- made by: `python -m training.cv_unet.train`
{runs}

## Data
Nothing but procedurally drawn people, what they wear and what they hold, with exact alpha (`training/cv_unet`): no
photograph of a person, no one's data set, no other network's output. Backgrounds are drawn too, or are parts of
photographs that ship with scikit-image: {photographs} and the motorcycle pair.
Its astronaut and camera pictures were never trained on.

## Figures
Held-out synthetic pictures (48 of 256 by 256, seed {held_out_seed}; alphas 0..1, whole picture):

| SAD / 1000 | MSE | gradient error / 1000 |
| --- | --- | --- |
| {sad:.3f} | {mse:.5f} | {gradient:.4f} |

The astronaut photograph of scikit-image, a real one, against a hand-drawn mask (`tests/data`; 15.0 % of the pixels
are not counted: the helmet in front of her and 3 pixels on either side of her outline); in each cell the intersection
over union and the mean alpha error, in each column the network's working size:

{astronaut}

{looked}
`python -m training.cv_unet.evaluate` gives these figures again.

## Limits
Made for portraits, head and shoulders to half figures, of one or two people. Expect mistakes at transparent things,
at full figures in unusual poses, at crowds, at animals and statues, at objects held far from the body, and where
person and background are of one colour. The drawn people are caricatures of a wide range of skin, hair and dress;
how evenly that carries over to real people has not been measured on any real data set.
"""

_LOOKED = """\
This photograph is the acceptance test (at least 0.96 / at most 0.02 in every cell): its mask was fixed before the first
training run and the picture was never trained on. Its figures were looked at {looks}.
{verdict}
"""


def write(card: Path, weights: Path, plans: Sequence[Plan], small: bool = False, looks: str = "") -> None:
    """Evaluate `weights` and write `card`: `plans` are the runs that made them, each but the first from the one before;
    `small` shortens the synthetic set for smoke runs."""
    from safetensors.torch import load_file

    predict = evaluate.load(weights)
    made = evaluate.synthetic(predict, 8, 64) if small else evaluate.synthetic(predict)
    shown = evaluate.astronaut(predict)
    parameters = sum(tensor.numel() for tensor in load_file(weights).values())
    card.write_text(
        _TEXT.format(
            millions=parameters / 1e6,
            megabytes=weights.stat().st_size / 1e6,
            sha256=hashlib.sha256(weights.read_bytes()).hexdigest(),
            runs="\n".join(_run(number, plan, plans) for number, plan in enumerate(plans)),
            photographs=", ".join(PHOTOGRAPHS),
            held_out_seed=evaluate.HELD_OUT_SEED,
            **asdict(made),
            astronaut=evaluate.table(shown),
            looked=_LOOKED.format(looks=looks or "after the run", verdict=_verdict(shown)),
        )
    )


def _run(number: int, plan: Plan, plans: Sequence[Plan]) -> str:
    """One run's line; of a later one, what differs from the run before."""
    before: dict[str, Any] = asdict(plans[number - 1]) if number else {}
    said = {name: value for name, value in asdict(plan).items() if name != "steps" and before.get(name) != value}
    begins = "then, from those weights" if number else "first"
    return f"- {begins}: {plan.steps:,} steps, " + ", ".join(f"{name} {value}" for name, value in said.items())


def _verdict(shown: dict[tuple[str, int], evaluate.RealResult]) -> str:
    met = sum(result.iou >= 0.96 and result.error <= 0.02 for result in shown.values())
    return f"{met} of {len(shown)} cells meet it" + ("." if met == len(shown) else ": it is not reached.")


if __name__ == "__main__":
    from training.cv_unet.train import FINE_TUNING, PLAN

    write(Path(sys.argv[2]), Path(sys.argv[1]), (PLAN, FINE_TUNING), looks=" ".join(sys.argv[3:]))
