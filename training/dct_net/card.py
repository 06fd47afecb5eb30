"""The card beside the weights: what they were made of, how, how good they are, and what they are not."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from training.dct_net import evaluate, pictures
from training.dct_net.teacher import STYLES

if TYPE_CHECKING:
    from training.dct_net.train import Plan

_TEXT = """\
# The embedded cartoon networks

Two generators of DCT-Net's architecture at {channels} channels instead of 32, guided filter included, distilled from
a classical cartoon filter. They are **not** the official DCT-Net weights and have seen nothing of them.

{hashes}
- made by: `python -m training.dct_net.train`, {steps:,} steps each, seed {seed}
- schedule: {plan}

## Teacher
Iterated bilateral smoothing, soft quantisation of luminance, ink lines from a difference of Gaussians (Winnemöller,
Olsen, Gooch, 2006), colours lifted, then the network's own guided filter (`training/dct_net/teacher.py`):

{styles}

## Data
Crops, turned, scaled, recoloured and with noise, half from photographs that ship with scikit-image, half from scenes
drawn at random. The photographs: {photographs} and a motorcycle.
Held out, never trained on: {held_out}. The teacher's settings were chosen by looking at its own
cartoons of the astronaut, a cup of coffee and the cat; nothing was chosen by the networks' figures.

## Figures
PSNR in dB of the network against its teacher, on the held-out photographs at their own size, FP32 on a CPU:

{figures}

`python -m training.dct_net.evaluate` gives these figures again.

## Limits
The style is the filter's: flat tones and ink lines that follow the photograph, no redrawn eyes or faces as trained
cartoon styles have them. Lines are a few pixels wide whatever the picture's size, so a picture worked on at a short
side of about 720 looks boldest. Fine texture (grass, fur, print) turns to blots.
"""


def write(folder: Path, plan: Plan) -> None:
    """Evaluate the networks of `folder` and write folder/card.md."""
    titles = [item.name for item in fields(next(iter(STYLES.values())))]
    styles = ["| network | " + " | ".join(titles) + " |", "| --- |" + " --- |" * len(titles)]
    for name, style in STYLES.items():
        styles.append(f"| {name} | " + " | ".join(str(getattr(style, title)) for title in titles) + " |")
    files = [folder / f"{name}.safetensors" for name in STYLES]
    shown = ("rate", "side", "batch", "bank", "scenes", "scene_side", "average")
    text = _TEXT.format(
        channels=plan.network.channels,
        hashes="\n".join(f"- {file.name}: sha256 `{hashlib.sha256(file.read_bytes()).hexdigest()}`" for file in files),
        steps=plan.steps,
        seed=plan.seed,
        plan=", ".join(f"{name} {getattr(plan, name)}" for name in shown),
        styles="\n".join(styles),
        photographs=", ".join(pictures.PHOTOGRAPHS),
        held_out=", ".join(pictures.HELD_OUT),
        figures=evaluate.table(evaluate.compare(folder)),
    )
    (folder / "card.md").write_text(text, encoding="utf-8")
