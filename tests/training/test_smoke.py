"""The whole chain at toy size: draw, train, fold, save, evaluate, card. What `make weights` runs, in under a minute."""

import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from trtkit.models.cv_unet.network import MattingUNet
from trtkit.models.cv_unet.source import config_of

ROOT = Path(__file__).resolve().parents[2]


def test_smoke(tmp_path):
    command = [sys.executable, "-m", "training.cv_unet.train", "--smoke", "10", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    weights = tmp_path / "matting.safetensors"
    state = load_file(weights)
    assert all(tensor.dtype == torch.float16 for tensor in state.values())
    config = config_of(state, weights)
    assert not config.norm
    assert state.keys() == MattingUNet(config).state_dict().keys()
    card = (tmp_path / "card.md").read_text()
    assert "not** the official" in card
    assert "as it is" in card
    assert "- first: " in card
    assert "- then, from those weights: " in card
