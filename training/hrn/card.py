"""The card beside the weights: what they were made of, how, how good they are, and what they are not."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from training.hrn import evaluate
from training.hrn.portraits import SEED
from training.hrn.tasks import TASKS
from trtkit.models.hrn.specs import NETWORKS

_TEXT = """\
# The embedded face networks

The eight networks of 3D Face HRN's architecture, an eighth as wide or less (FAN: one stack instead of four), trained on
drawn faces of a made-up face model. They are **not** the official weights, have seen nothing of them and **no
photograph of a person**: a mesh made with them resembles nobody.

{files}
- made by: `python -m training.hrn.train`, then `python -m training.hrn.embed`
- schedule: AdamW, the rate falling along a cosine, several networks at the same time on one NVIDIA H200, each for the
  seconds of the table below; what ships is the running average of the weights, in FP16

## Data
The synthetic face model (`trtkit/models/hrn/synthetic`): a head of formulas with 3,705 vertices, smooth random bases in
place of measured ones, painted skin. Random coefficients, up to 40 degrees of turning to each side, uneven light, skin
of any tone; drawn by a splatting renderer (`training/hrn/drawing.py`) on gradients, noise, patches and discs; gain,
gamma, few pixels, noise and grey as cameras make them (`training/hrn/scenes.py`). Each network sees its own crops of
these, as the pipeline cuts them, off by as much as the networks before it are.

| network | learns | parameters | batch | rate | seconds |
| --- | --- | --- | --- | --- | --- |
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


def write(folder: Path, trained: dict[str, int]) -> None:
    """Evaluate the networks of `folder` and write folder/card.md. `trained`: new networks and the seconds that each was
    trained; of the others the card that is there says how they were made. Raises KeyError where it does not."""
    path = folder / "card.md"
    known = rows(path.read_text(encoding="utf-8")) if path.is_file() else {}
    files = [folder / f"{spec.name}.safetensors" for spec in NETWORKS]
    known |= {name: _row(name, seconds) for name, seconds in trained.items()}
    reconstruct = evaluate.load(folder)
    results, lost = evaluate.compare(reconstruct)
    text = _TEXT.format(
        files="\n".join(f"- {file.name}: sha256 `{hashlib.sha256(file.read_bytes()).hexdigest()}`" for file in files),
        tasks="\n".join(known[spec.name] for spec in NETWORKS),
        count=evaluate.COUNT,
        seed=SEED,
        figures=evaluate.table(results, lost),
        hard="\n".join(f"- {name}: {words}" for name, words in evaluate.hard(reconstruct).items()),
    )
    path.write_text(text, encoding="utf-8")


def _row(name: str, seconds: int) -> str:
    task = TASKS[name]()
    parameters = sum(each.numel() for each in task.network.parameters())
    return f"| {name} | {_LEARNS[name]} | {parameters:,} | {task.batch} | {task.rate:g} | {seconds} |"


def rows(card: str) -> dict[str, str]:
    """Network → its row in the table of a card."""
    found = (re.match(r"\| (\w+) \|( [^|]+ \|){5}$", line) for line in card.splitlines())
    return {row[1]: row[0] for row in found if row and row[1] in _LEARNS}
