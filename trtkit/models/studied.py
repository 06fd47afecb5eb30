"""A network that sees what others of its model found in a picture, and whose numbers mean something only together.

Such a network cannot be calibrated on pictures as they are, and how far two of its answers are apart shows only in what
is made of them. The model says how both is done; calibration and evaluation do not know which model it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    from trtkit.models.spec import Around
    from trtkit.runtime.backend import Backend


class Study(Protocol):
    """One such network, the networks before it loaded. Inputs and answers are of one picture, [1, …] by tensor name."""

    def inputs(self, rgb: NDArray[np.uint8]) -> dict[str, Any] | None:
        """What the network sees of a picture uint8 [H, W, 3], None where that shows nothing for it."""
        ...

    def apart(self, reference: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> float:
        """How far apart two answers are."""
        ...

    def picture(self, answer: Mapping[str, np.ndarray]) -> NDArray[np.uint8]:
        """What an answer looks like: RGB uint8 [h, w, 3], as large as the network's own picture."""
        ...


@dataclass(frozen=True)
class Studied:
    """`before`: the networks that run before it. `open(networks, around)` gives the Study on these, loaded;
    `fingerprint(around)` changes with whatever lies between them and it; `draw(dice, picture)` puts what it looks for
    into a picture uint8 [H, W, 3], for the networks in the package. `figure` is what engines.yaml calls the distance of
    two answers, in `unit` (config.Int8Config). `sought` and `unit` are for people."""

    before: tuple[str, ...]
    open: Callable[[Mapping[str, Backend], Around], Study]
    fingerprint: Callable[[Around], bytes]
    draw: Callable[[Generator, NDArray[np.uint8]], NDArray[np.uint8]]
    figure: str
    unit: str
    sought: str
