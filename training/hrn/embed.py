"""`python -m training.hrn.embed HRN.safetensors`: the trained networks into the package, and their card.

Each network becomes NETWORK.safetensors in FP16 and, exported and checked, NETWORK.fp32.onnx with its manifest.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from training.hrn import card
from training.hrn.fold import fold
from trtkit.export.embed import embed
from trtkit.models.hrn import MODEL
from trtkit.models.hrn.checkpoint import PLACES

NOTES = {
    "retinaface": "finds drawn faces only",
    "landmarks106": "drawn faces only",
    "s3fd": "drawn faces only",
    "fan": "drawn faces only; one stack",
    "net_recon": "of the synthetic face model, resembles nobody",
    "mid_net": "of the synthetic face model",
    "high_net": "of the synthetic face model",
    "de_retouch": "drawn blemishes only",
}


FOLDED = ("net_recon", "retinaface")
"""The two large ones, whose ONNX is half as large for it."""


def shipped(network: str, trained: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `network` among `trained` (NETWORK/TENSOR, FP32) as they ship: FP16, counts as they are, and the
    gain, which training leaves at 1, under its key. Raises OverflowError for a weight that FP16 does not hold."""
    own = {name.partition("/")[2]: value for name, value in trained.items() if name.startswith(f"{network}/")}
    if not own:
        raise KeyError(f"no tensors of {network}; trained are {', '.join(sorted({n.split('/')[0] for n in trained}))}")
    if network in FOLDED:
        own = fold(own)
    half = {name: value.half() if value.is_floating_point() else value for name, value in own.items()}
    for name, value in half.items():
        if not torch.isfinite(value).all():
            raise OverflowError(f"{network}/{name} is beyond FP16; train with more weight decay")
    gain = PLACES[network].gain
    return {**half, gain: torch.ones(1, dtype=torch.float16)} if gain else half


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", type=Path, help="what training.hrn.train wrote")
    parser.add_argument("--network", action="append", choices=[spec.name for spec in MODEL.networks])
    parser.add_argument("--seconds", type=int, required=True, help="that each of them was trained, for the card")
    options = parser.parse_args()
    trained = load_file(options.trained)
    networks = options.network or [spec.name for spec in MODEL.networks]
    for network in networks:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{network}.safetensors"
            save_file({name: value.contiguous() for name, value in shipped(network, trained).items()}, path)
            sys.stdout.write(f"{embed('hrn', network, path, NOTES[network])}\n")
    card.write(MODEL.embedded_dir, dict.fromkeys(networks, options.seconds))


if __name__ == "__main__":
    main()
