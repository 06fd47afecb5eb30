"""What every backend presents, whatever runs underneath: named arrays in, named arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

import numpy as np

from trtkit.errors import Mistake

if TYPE_CHECKING:
    from trtkit.config import Profile

Arrays = dict[str, np.ndarray]
IOTensors = dict[str, tuple[np.dtype, tuple[int | None, ...]]]
"""Tensor name → (dtype, shape with None for dynamic axes)."""


MOST_WITHOUT_PROFILES = 8
"""Rows of one run of a network that states no largest batch, the CPU's; as many as engines are built for. Each takes
memory of its own, which of a picture of 25 faces was two gigabytes."""


class Backend(Protocol):
    """A loaded network. Safe to call from any thread; the backend orders the work itself.

    `name` is 'cpu', 'cuda', 'tensorrt-rtx' or 'tensorrt'; `device` says where it runs, for people.
    """

    name: str
    device: str
    inputs: IOTensors
    outputs: IOTensors
    profiles: Sequence[Profile]
    """The ranges of input shapes that it accepts; empty if any shape does that fits `inputs`."""

    def run(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """Run once and wait. Raises Mistake, naming the tensor, for a wrong name, dtype or shape."""
        ...

    def submit(self, arrays: Mapping[str, np.ndarray]) -> Future[Arrays]:
        """Queue one run; the future gives what `run` would."""
        ...

    def trim(self) -> None:
        """Give back the host memory that large runs have left behind, so that what follows them can have it."""
        ...

    def close(self) -> None:
        """Free everything, in order. Calling it twice is harmless."""
        ...


def check_inputs(inputs: IOTensors, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise Mistake naming the first tensor that is missing, unknown, or of another dtype or shape."""
    for name, (dtype, shape) in inputs.items():
        if name not in arrays:
            raise Mistake(f"input '{name}' is missing; the network takes {', '.join(inputs)}")
        array = arrays[name]
        fits = array.ndim == len(shape) and all(
            size in (None, found) for size, found in zip(shape, array.shape, strict=True)
        )
        if array.dtype != dtype or not fits:
            wanted = "x".join("?" if size is None else str(size) for size in shape)
            found = "x".join(map(str, array.shape))
            raise Mistake(f"input '{name}' is {array.dtype} {found}; the network takes {dtype} {wanted}")
    for name in arrays:
        if name not in inputs:
            raise Mistake(f"input '{name}' is not one of the network's; it takes {', '.join(inputs)}")
