"""The networks in the package as the files of an official snapshot: the same tensors, in the official levels."""

from pathlib import Path

import torch

from trtkit.models.hrn import MODEL, checkpoint
from trtkit.models.hrn.checkpoint import PLACES
from trtkit.models.hrn.networks.source import load_source
from trtkit.models.hrn.synthetic import files


def write(folder: Path) -> None:
    """Every file of the snapshot that trtkit reads, but for configuration.json and segment_face.pb."""
    made: dict[str, dict] = {}
    for network, place in PLACES.items():
        own = MODEL.embedded_dir / f"{network}.safetensors"
        path = folder / place.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zip":
            # The official archive is a script; only its tensors are read.
            torch.jit.trace(load_source(network, own), torch.zeros(1, 3, 256, 256)).save(path)
            continue
        tensors, gain = checkpoint.read(network, own)
        held: dict = {place.prefix + name: tensor for name, tensor in tensors.items()}
        for level in reversed(place.levels):
            held = {level: held}
        if place.gain:
            held[place.gain] = torch.tensor([gain])
        made.setdefault(place.file, {}).update(held)
    for name, held in made.items():
        torch.save(held, folder / name)
    files.write(folder / "assets")
