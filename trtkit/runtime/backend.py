"""What every backend presents, whatever runs underneath: named arrays in, named arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Protocol

import numpy as np

Arrays = dict[str, np.ndarray]


class Backend(Protocol):
    """A loaded network. Safe to call from any thread; the backend orders the work itself.

    `name` is 'cpu', 'cuda', 'tensorrt-rtx' or 'tensorrt'; `device` says where it runs, for people.
    `inputs` and `outputs` map tensor names to (NumPy dtype, shape with None for dynamic axes).
    """

    name: str
    device: str
    inputs: dict[str, tuple[np.dtype, tuple[int | None, ...]]]
    outputs: dict[str, tuple[np.dtype, tuple[int | None, ...]]]

    def run(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """Run once and wait. Raises Mistake, naming the tensor, for a wrong name, dtype or shape."""
        ...

    def submit(self, arrays: Mapping[str, np.ndarray]) -> Future[Arrays]:
        """Queue one run; the future gives what `run` would."""
        ...

    def close(self) -> None:
        """Free everything, in order. Calling it twice is harmless."""
        ...
