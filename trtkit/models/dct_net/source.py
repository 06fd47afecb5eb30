"""The source networks of an export: a frozen graph or a state dict → the torch module whose inputs the spec states."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from trtkit.errors import Mistake
from trtkit.models.dct_net.frozen_graph import read_graph
from trtkit.models.dct_net.network import Cartoon, Generator, GeneratorConfig
from trtkit.models.weights import SUFFIXES, load_strict, read_state


def load_source(network: str, weights: Path) -> nn.Module:
    """Cartoon with the checkpoint's parameters, in eval mode; channels and blocks are read off its shapes.

    `network` is 'background' or 'head': both are the same class. Raises Mistake naming the file and the first wrong
    tensor.
    """
    suffixes = (".pb", *SUFFIXES)
    if weights.suffix not in suffixes:
        raise Mistake(f"--weights {weights} has the suffix '{weights.suffix}'; right would be {', '.join(suffixes)}")
    state = read_graph(weights) if weights.suffix == ".pb" else read_state(weights)
    generator = Generator(config_of(state, weights))
    load_strict(generator, state, weights)
    return Cartoon(generator).eval()


def config_of(state: dict[str, Tensor], path: Path) -> GeneratorConfig:
    """The configuration whose generator has these tensors. Raises Mistake if this is no DCT-Net generator."""
    first = state.get("enter.weight")
    if first is None or first.ndim != 4:
        raise Mistake(
            f"--weights {path}: tensor 'enter.weight' is missing, so this is not a checkpoint of DCT-Net's generator "
            f"(its first tensor is '{next(iter(state))}' {list(next(iter(state.values())).shape)})"
        )
    numbers = [name.split(".")[1] for name in state if name.startswith("blocks.")]
    return GeneratorConfig(first.shape[0], 1 + max((int(n) for n in numbers if n.isdecimal()), default=-1))
