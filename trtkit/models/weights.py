"""Reading checkpoints: ``.safetensors`` and ``.pth``/``.pt``, tensors only, every name and shape checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtkit.errors import Mistake
from trtkit.optional import need

if TYPE_CHECKING:
    from torch import Tensor, nn

SUFFIXES = (".safetensors", ".pth", ".pt")


def one_file(network: str, given: Path) -> Path:
    """The weights of a model of one network: the file `given` (--weights) itself. Raises Mistake if it is no file."""
    if given.is_dir():
        raise Mistake(
            f"--weights {given} is a folder; name the checkpoint of '{network}' itself ({', '.join(SUFFIXES)})"
        )
    if not given.is_file():
        raise Mistake(f"--weights {given} does not exist; name a checkpoint ({', '.join(SUFFIXES)})")
    return given


def read_object(path: Path) -> Any:
    """What a checkpoint holds, tensors on the CPU: a state dict, or levels of dicts around several.

    A ``.pth`` is read with ``weights_only`` (nothing in it is executed). Raises Mistake naming the file.
    """
    if not path.is_file():
        raise Mistake(f"--weights {path} does not exist; name a checkpoint ({', '.join(SUFFIXES)})")
    if path.suffix not in SUFFIXES:
        raise Mistake(f"--weights {path} has the suffix '{path.suffix}'; right would be one of {', '.join(SUFFIXES)}")
    torch = need("torch", "reading a checkpoint")
    try:
        if path.suffix == ".safetensors":
            return need("safetensors.torch", "reading a .safetensors checkpoint").load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Mistake:
        raise
    except Exception as error:
        # torch and safetensors raise a dozen unrelated types for a file that is not theirs.
        reason = str(error).split(". ")[0].split("\n")[0]
        raise Mistake(f"--weights {path} is not a readable checkpoint ({type(error).__name__}: {reason})") from error


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint, by name, as float32 on the CPU.

    A single ``state_dict`` or ``model`` level around the tensors is stepped into. Raises Mistake naming the file.
    """
    state = read_object(path)
    for wrapper in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    tensors = tensors_of(state)
    if not tensors:
        raise Mistake(f"--weights {path} holds no tensors; right would be a state dict of the network")
    return tensors


def tensors_of(state: Any) -> dict[str, Tensor]:
    """The tensors of a state dict as float32, by name; anything else in it, or around it, is left out."""
    torch = need("torch", "reading a checkpoint")
    if not isinstance(state, Mapping):
        return {}
    return {name: value.float() for name, value in state.items() if isinstance(value, torch.Tensor)}


def load_strict(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load `state` into `module`; every key and shape must match, and every value be a number.

    Raises Mistake naming the first wrong key (missing, unknown, of another shape, or with NaN or infinity in it).
    """
    torch = need("torch", "reading a checkpoint")
    wanted = module.state_dict()
    for name, tensor in wanted.items():
        if name not in state:
            raise Mistake(f"--weights {path}: tensor '{name}' {list(tensor.shape)} is missing")
        if state[name].shape != tensor.shape:
            raise Mistake(
                f"--weights {path}: tensor '{name}' has shape {list(state[name].shape)}, "
                f"the network's is {list(tensor.shape)}"
            )
        if not torch.isfinite(state[name]).all():
            raise Mistake(
                f"--weights {path}: tensor '{name}' has values that are no numbers (NaN or infinity), as training that "
                "diverged leaves them; name another checkpoint"
            )
    for name in state:
        if name not in wanted:
            raise Mistake(f"--weights {path}: tensor '{name}' {list(state[name].shape)} is not one of the network's")
    module.load_state_dict(dict(state))
