"""Which file of a folder holds which network's weights."""

from __future__ import annotations

from pathlib import Path

from trtkit.errors import Mistake

FILES = {
    "background": ("cartoon_bg.pb", "cartoon_anime_bg.pb", "background.safetensors"),
    "head": ("cartoon_h.pb", "cartoon_anime_h.pb", "head.safetensors"),
}
"""Names in the model hub's snapshots, in the authors' repository, and of trtkit's own state dicts."""


def find_weights(network: str, given: Path) -> Path:
    """The file of `network` in the folder `given` (--weights). Raises Mistake if it is not there, or twice."""
    names = FILES[network]
    if given.is_file():
        raise Mistake(
            f"--weights {given} is one file, and dct_net has two networks; name the folder that holds cartoon_bg.pb "
            "and cartoon_h.pb"
        )
    if not given.is_dir():
        raise Mistake(f"--weights {given} does not exist; name the folder that holds cartoon_bg.pb and cartoon_h.pb")
    found = [given / name for name in names if (given / name).is_file()]
    if not found:
        raise Mistake(f"--weights {given} holds no weights of dct_net/{network}; right would be {', '.join(names)}")
    if len(found) > 1:
        raise Mistake(
            f"--weights {given} holds {' and '.join(path.name for path in found)}, both weights of dct_net/{network}; "
            "leave one of them there"
        )
    return found[0]
