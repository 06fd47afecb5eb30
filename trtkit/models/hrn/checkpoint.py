"""The official files of HRN's networks: which file holds which network, and the tensors read out of it.

Snapshot `iic/cv_resnet50_face-reconstruction`, revision v2.0.0-HRN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtkit.errors import Mistake
from trtkit.models.weights import read_object, tensors_of
from trtkit.optional import need

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Place:
    """`file` inside the snapshot; `levels` of dicts around the tensors; `prefix` before every name; `gain` is the key
    of the one-element tensor that scales the network's output."""

    file: str
    levels: tuple[str, ...] = ()
    prefix: str = ""
    gain: str | None = None


PLACES = {
    "net_recon": Place("pytorch_model.pt", ("net_recon",)),
    "mid_net": Place("pytorch_model.pt", ("mid_net",), gain="alpha"),
    "high_net": Place("pytorch_model.pt", ("high_net",), gain="beta"),
    "de_retouch": Place("de_retouching_model.pth", ("generator",)),
    "landmarks106": Place("large_base_net.pth", ("state_dict",), prefix="module."),
    "retinaface": Place("retinaface_resnet50_2020-07-20_old_torch.pth"),
    "s3fd": Place("face_alignment/s3fd-619a316812.pth"),
    "fan": Place("face_alignment/3DFAN4-4a694010b9.zip"),
}

PLAIN = ".safetensors"
"""trtkit's own files, NETWORK.safetensors: the tensors by their names, the gain under its key, no levels
around them."""


def file_of(network: str, weights: Path) -> Path:
    """The file of `network` in the folder `weights` (--weights): the official one, or NETWORK.safetensors.

    Raises Mistake naming the file that is missing, or both where there are two.
    """
    official, own = weights / PLACES[network].file, weights / f"{network}{PLAIN}"
    if not weights.is_dir():
        found = "is one file, and hrn has eight networks" if weights.is_file() else "does not exist"
        raise Mistake(f"--weights {weights} {found}; name a folder such as a snapshot, which holds {official.name}")
    if official.is_file() and own.is_file():
        raise Mistake(
            f"--weights {weights} holds {PLACES[network].file} and {own.name}, both weights of hrn/{network}; leave "
            "one of them there"
        )
    path = own if own.is_file() else official
    if not path.is_file():
        raise Mistake(
            f"--weights {weights} holds neither {PLACES[network].file} nor {own.name}, the weights of hrn/{network}"
        )
    return path


def read(network: str, path: Path) -> tuple[dict[str, Tensor], float]:
    """(tensors by the network's own names, gain of its output: 1 where the file states none) of a file.

    Raises Mistake naming the file and what is missing in it.
    """
    place = PLACES[network]
    if path.suffix == PLAIN:
        place = Place(path.name, gain=place.gain)
    held = _read_torchscript(path) if path.suffix == ".zip" else read_object(path)
    gain = _gain(held, place.gain, path) if place.gain else 1.0
    for level in place.levels:
        if not isinstance(held, Mapping) or not isinstance(held.get(level), Mapping):
            found = (
                ", ".join(f"'{key}'" for key in list(held)[:3]) if isinstance(held, Mapping) else type(held).__name__
            )
            raise Mistake(f"--weights {path}: '{level}' with the weights of hrn/{network} is missing (found {found})")
        held = held[level]
    tensors = {name.removeprefix(place.prefix): value for name, value in tensors_of(held).items()}
    if place.gain and not place.levels:
        tensors.pop(place.gain, None)  # it lies among them there
    if not tensors:
        raise Mistake(f"--weights {path} holds no tensors; right would be a state dict of hrn/{network}")
    return tensors, gain


def _gain(held: Any, key: str, path: Path) -> float:
    found = held.get(key) if isinstance(held, Mapping) else None
    if found is None or getattr(found, "numel", lambda: 0)() != 1:
        raise Mistake(f"--weights {path}: the one number '{key}' is missing, by which the network's output is scaled")
    return float(found.reshape(()))


def _read_torchscript(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a TorchScript archive; its program is loaded, and never run."""
    torch = need("torch", "reading a checkpoint")
    if not path.is_file():
        raise Mistake(f"--weights {path} does not exist; name the TorchScript archive of the network")
    try:
        state: Mapping[str, Tensor] = torch.jit.load(path, map_location="cpu").state_dict()
    except (RuntimeError, ValueError, OSError) as error:
        raise Mistake(f"--weights {path} is not a readable TorchScript archive ({type(error).__name__})") from error
    return state
