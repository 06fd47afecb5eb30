"""The embedded cartoon networks: the chain that makes them at toy size, and the figures on their card once more."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from training.dct_net import evaluate, pictures
from training.dct_net.teacher import STYLES, cartoon
from trtkit import models
from trtkit.models.dct_net.network import Generator
from trtkit.models.dct_net.options import Options
from trtkit.models.dct_net.pipeline import Cartoon
from trtkit.models.dct_net.source import config_of
from trtkit.models.imaging.decode import Picture
from trtkit.models.pipeline import StageClock
from trtkit.runtime.cpu import CpuBackend

ROOT = Path(__file__).resolve().parents[2]
EMBEDDED = models.get("dct_net").embedded_dir


def test_smoke(tmp_path):
    command = [sys.executable, "-m", "training.dct_net.train", "--smoke", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    for name in STYLES:
        weights = tmp_path / f"{name}.safetensors"
        state = load_file(weights)
        assert all(tensor.dtype == torch.float16 for tensor in state.values())
        assert state.keys() == Generator(config_of(state, weights)).state_dict().keys()
    card = (tmp_path / "card.md").read_text()
    assert "not** the official" in card
    assert "astronaut" in card


@pytest.fixture(scope="module")
def figures() -> dict[str, dict[str, float]]:
    return evaluate.compare(EMBEDDED)


def test_the_networks_come_close_to_their_teacher_on_photographs_they_never_saw(figures):
    assert set(figures) == set(STYLES)
    for row in figures.values():
        assert set(row) == set(pictures.HELD_OUT)
        assert np.mean(list(row.values())) >= 28
        assert row["astronaut"] >= 28


def test_the_cards_figures_come_again(figures):
    card = (EMBEDDED / "card.md").read_text()
    for name, row in figures.items():
        line = re.search(rf"^\| {name} \| (\d.*\d) \|$", card[card.index("## Figures") :], re.MULTILINE)
        assert line, name
        stated = [float(cell) for cell in line[1].split(" | ")]
        np.testing.assert_allclose(list(row.values()), stated, rtol=0.02)


def test_no_line_is_drawn_along_an_edge_that_is_none(portrait_pixels):
    """A picture of no whole sixteens is drawn as it is where more of it follows, up to its rim."""
    background = CpuBackend(EMBEDDED / "background.fp32.onnx")
    try:
        pipeline = Cartoon({"background": background, "head": background}, Options(no_faces=True), None)
        whole, part = (drawn(pipeline, rgb) for rgb in (portrait_pixels, portrait_pixels[:265, :233]))
    finally:
        background.close()
    apart = cv2.absdiff(whole[:265, :233], part).mean(axis=-1)
    assert max(apart[-8:].mean(), apart[:, -8:].mean()) < 5
    assert apart[:-24, :-24].mean() < 0.1


def drawn(pipeline, rgb):
    clock = StageClock()
    item = pipeline.prepare(Picture(np.ascontiguousarray(rgb), None, rgb.shape[:2], Path("a.png")), clock)
    return pipeline.finish(item, *pipeline.run([item], clock), clock)


def test_no_held_out_photograph_is_trained_on():
    assert not set(pictures.HELD_OUT) & set(pictures.PHOTOGRAPHS)
    assert "astronaut" in pictures.HELD_OUT


def test_all_files_in_the_package_stay_small():
    assert sum(path.stat().st_size for path in EMBEDDED.iterdir()) < 3.2e6


@pytest.mark.parametrize("name", STYLES)
def test_the_teacher_stays_in_range_and_does_not_care_which_way_is_up(name):
    x = torch.from_numpy(pictures.drawn(np.random.default_rng(1), 48)).permute(2, 0, 1)[None] / 127.5 - 1
    y = cartoon(x, STYLES[name])
    assert y.shape == x.shape
    assert y.abs().max() <= 1
    assert (y - x).abs().mean() > 0.02
    turned = cartoon(torch.rot90(x, 1, (2, 3)), STYLES[name])
    torch.testing.assert_close(torch.rot90(y, 1, (2, 3)), turned, atol=1e-3, rtol=0)
