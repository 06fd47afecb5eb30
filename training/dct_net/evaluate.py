"""How close the cartoon networks come to their teacher, on photographs that training never saw.

`python -m training.dct_net.evaluate [FOLDER] [--pictures OUT]` judges FOLDER's safetensors, or what ships in the
package, on the CPU; --pictures writes photograph, teacher and network side by side.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from training.dct_net import pictures
from training.dct_net.teacher import STYLES, Style, cartoon
from trtkit.models.dct_net.source import load_source

EMBEDDED = Path(__file__).resolve().parents[2] / "trtkit" / "models" / "dct_net" / "embedded"


def teach(bgr: NDArray[np.uint8], style: Style) -> NDArray[np.uint8]:
    """The teacher's cartoon of uint8 [H, W, 3] BGR, truncated to uint8 as the networks' is."""
    x = torch.from_numpy(bgr).permute(2, 0, 1)[None].float() / 127.5 - 1
    y = (cartoon(x, style)[0].permute(1, 2, 0).clamp(-0.999999, 0.999999) + 1) * 127.5
    return np.asarray(y.numpy().astype(np.uint8))


def draw(network: nn.Module, bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(bgr[None])).numpy()[0], np.uint8)


def psnr(wanted: NDArray[np.uint8], found: NDArray[np.uint8]) -> float:
    """dB, of a peak of 255."""
    error = np.square(wanted.astype(np.float64) - found.astype(np.float64)).mean()
    return float(10 * np.log10(255**2 / error))


def compare(folder: Path, out: Path | None = None) -> dict[str, dict[str, float]]:
    """Network → photograph → PSNR of the network against its teacher; side-by-side pictures into `out`."""
    figures: dict[str, dict[str, float]] = {}
    for name, style in STYLES.items():
        network = load_source(name, folder / f"{name}.safetensors")
        figures[name] = {}
        for title, rgb in pictures.held_out():
            bgr = np.ascontiguousarray(rgb[..., ::-1])
            wanted, found = teach(bgr, style), draw(network, bgr)
            figures[name][title] = psnr(wanted, found)
            if out is not None:
                out.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(out / f"{title}.{name}.png"), np.hstack([bgr, wanted, found]))
    return figures


def table(figures: dict[str, dict[str, float]]) -> str:
    """Markdown: a row a network, a column a photograph."""
    titles = list(next(iter(figures.values())))
    lines = ["| network | " + " | ".join(titles) + " |", "| --- |" + " --- |" * len(titles)]
    lines += [
        f"| {name} | " + " | ".join(f"{row[title]:.2f}" for title in titles) + " |" for name, row in figures.items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path, nargs="?", default=EMBEDDED)
    options.add_argument("--pictures", type=Path)
    given = options.parse_args()
    sys.stdout.write(table(compare(given.folder, given.pictures)) + "\n")
