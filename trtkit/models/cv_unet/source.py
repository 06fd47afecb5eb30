"""The source network of an export: a checkpoint read into the torch module whose inputs the spec states."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from trtkit.errors import Mistake
from trtkit.models.cv_unet.network import ImageMatting, MattingUNet, UNetConfig
from trtkit.models.weights import load_strict, read_state


def load_source(network: str, weights: Path) -> nn.Module:
    """ImageMatting with the checkpoint's parameters, in eval mode; width and depth are read off its shapes.

    Raises Mistake naming the file and the first wrong tensor.
    """
    state = read_state(weights)
    unet = MattingUNet(config_of(state, weights))
    load_strict(unet, state, weights)
    return ImageMatting(unet).eval()


def config_of(state: dict[str, Tensor], path: Path) -> UNetConfig:
    """The configuration whose network has these tensors. Raises Mistake if this is no matting U-Net."""
    first = state.get("encoder.0.0.weight")
    if first is None or first.ndim != 4:
        raise Mistake(
            f"--weights {path}: tensor 'encoder.0.0.weight' is missing, so this is not a checkpoint of cv_unet's "
            f"network (its first tensor is '{next(iter(state))}' {list(next(iter(state.values())).shape)})"
        )
    numbers = [name.split(".")[1] for name in state if name.startswith("encoder.")]
    levels = 1 + max(int(number) for number in numbers if number.isdecimal())  # load_strict names what is no level
    deepest = state.get(f"encoder.{levels - 1}.0.weight")
    return UNetConfig(
        width=first.shape[0],
        depth=levels - 1,
        cap=deepest.shape[0] if deepest is not None else first.shape[0],
        norm="encoder.0.1.running_mean" in state,
    )
