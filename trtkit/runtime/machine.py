"""What every GPU backend needs of the machine, as sentences with the command that mends each."""

from __future__ import annotations

from trtkit.errors import MissingComponent
from trtkit.gpus import local_capabilities
from trtkit.optional import EXTRA_OF, installed


def capability_of(ordinal: int) -> str | None:
    """'9.0', or None if there is no GPU of that number."""
    found = local_capabilities()
    return found[ordinal] if ordinal < len(found) else None


def check_ordinal(ordinal: int) -> None:
    """Raise MissingComponent if --device names a GPU that is not there; 0 is always fine, it is the default."""
    found = len(local_capabilities())
    if ordinal and not 0 <= ordinal < found:
        have = "no NVIDIA GPU" if found == 0 else f"{found} of them, numbered from 0"
        raise MissingComponent(f"--device {ordinal} does not exist: this machine has {have}")


def lacks(ordinal: int, *modules: str) -> str | None:
    """Why no GPU backend can run on GPU `ordinal`: no GPU, or one of `modules` is missing."""
    if capability_of(ordinal) is None:
        return "this machine shows no NVIDIA GPU"
    for module in modules:
        if not installed(module):
            return f"{module} is not installed (pip install 'trtkit[{EXTRA_OF[module]}]')"
    return None
