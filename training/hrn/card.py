"""The card beside the weights: what they were made of, how, how good they are, and what they are not."""

from __future__ import annotations

import hashlib
from pathlib import Path

from training.hrn import evaluate
from training.hrn.portraits import SEED
from training.hrn.tasks import TASKS
from trtkit.models.hrn.specs import NETWORKS

_TEXT = """\
# The embedded face networks

The eight networks of 3D Face HRN's architecture, a sixteenth to a twenty-first as wide (FAN: a tenth, and one stack
instead of four), trained on drawn faces of a made-up face model. They are **not** the official weights, have seen
nothing of them and **no photograph of a person**: a mesh made with them resembles nobody.

{files}
- made by: `python -m training.hrn.train`, then `python -m training.hrn.embed`
- schedule: {seconds} seconds a network, all eight at the same time on one NVIDIA H200; AdamW, the rate falling along a
  cosine; what ships is the running average of the weights, in FP16

## Data
The synthetic face model (`trtkit/models/hrn/synthetic`): a head of formulas with 3,705 vertices, smooth random bases in
place of measured ones, painted skin. Random coefficients, up to 40 degrees of turning to each side, uneven light, skin
of any tone; drawn by a splatting renderer (`training/hrn/drawing.py`) on gradients, noise, patches and discs; gain,
gamma, few pixels, noise and grey as cameras make them (`training/hrn/scenes.py`). Each network sees its own crops of
these, as the pipeline cuts them, off by as much as the networks before it are.

| network | learns | batch | rate |
| --- | --- | --- | --- |
{tasks}

## Figures
{count} portraits of 480 x 640, one random face of 130 to 380 pixels each, drawn by the pipeline's own renderer, seed
{seed}: never trained on. Through the whole pipeline as shipped, FP32 on a CPU:

{figures}

Landmarks: mean distance of the 68 on the aligned crop of 224 pixels. Vertices: mean distance of the mesh that is
written from the one that was drawn, both turned and sized as they come and laid middle on middle: where a face stands
is not to be seen in a crop that is moved and scaled to fit. The mean face's: the same for the mean face turned as the
drawn one is, which is what knowing nothing of its shape would give. Degrees: by how many the face is turned wrong.

{hard}

`python -m training.hrn.evaluate` gives these figures again.

## Limits
Made for drawn faces of the synthetic model alone, so that the pipeline can be tried, tested and built without the
licensed files. On photographs of people they find faces by chance, and what they reconstruct is not that person. For
people: `trtkit pull hrn`.
"""

_LEARNS = {
    "retinaface": "boxes and five points of up to eight faces of 9 to 480 pixels on 512",
    "landmarks106": "106 points in squares around a face",
    "s3fd": "the one face of a square, as the box from which FAN's window follows",
    "fan": "a heat map for each of 68 points",
    "net_recon": "coefficients, by the distance of the vertices they make",
    "mid_net": "how far broad bumps lift the skin, from the light on it",
    "high_net": "the same for finer bumps",
    "de_retouch": "to take dark blemishes off",
}


def write(folder: Path, seconds: int) -> None:
    """Evaluate the networks of `folder`, each trained for `seconds`, and write folder/card.md."""
    files = [folder / f"{spec.name}.safetensors" for spec in NETWORKS]
    tasks = {name: make() for name, make in TASKS.items()}
    rows = [
        f"| {spec.name} | {_LEARNS[spec.name]} | {tasks[spec.name].batch} | {tasks[spec.name].rate:g} |"
        for spec in NETWORKS
    ]
    reconstruct = evaluate.load(folder)
    results, lost = evaluate.compare(reconstruct)
    text = _TEXT.format(
        files="\n".join(f"- {file.name}: sha256 `{hashlib.sha256(file.read_bytes()).hexdigest()}`" for file in files),
        seconds=seconds,
        tasks="\n".join(rows),
        count=evaluate.COUNT,
        seed=SEED,
        figures=evaluate.table(results, lost),
        hard="\n".join(f"- {name}: {words}" for name, words in evaluate.hard(reconstruct).items()),
    )
    (folder / "card.md").write_text(text, encoding="utf-8")
