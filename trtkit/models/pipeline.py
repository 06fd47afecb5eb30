"""What every model's pipeline presents: host work before, network runs, host work after.

The command line calls the three in order, the server calls prepare and finish in a pool of threads and runs networks
in batches: one pipeline, two ways to drive it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from trtkit.errors import Mistake
from trtkit.models.imaging.decode import Picture

Watcher = Callable[[str, float | None], None]
"""Told of each stage as it begins (with None) and as it ends (with its seconds), from whichever thread works on it."""


class StageClock:
    """Seconds spent in each stage, summed over threads; stages keep the order they were first entered in."""

    def __init__(self, watcher: Watcher | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._watcher = watcher
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        end = self.begin(name)
        try:
            yield
        finally:
            end()

    def begin(self, name: str) -> Callable[[], None]:
        """As `stage`, for one that ends elsewhere: what is given ends it, once, from any thread."""
        if self._watcher:
            self._watcher(name, None)
        began = time.perf_counter()

        def end() -> None:
            spent = time.perf_counter() - began
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + spent
            if self._watcher:
                self._watcher(name, spent)

        return end


@dataclass(frozen=True)
class Files:
    """A result of several files that refer to each other by name: `make(stem)` gives name → content, every name being
    the stem with an ending of its own ('stem.obj', 'stem.texture.png'), in an order in which they may be written.
    `notes` is what people should know about this one result, a line each."""

    make: Callable[[str], dict[str, bytes]]
    notes: tuple[str, ...] = ()


def picture_of(result: np.ndarray | Files) -> np.ndarray:
    """The picture that a result is. Raises Mistake where it is files."""
    if isinstance(result, Files):
        raise Mistake("this model gives several files rather than a picture; right would be: trtkit infer")
    return result


class Pipeline(Protocol):
    """prepare and finish are pure host work for one picture; run takes a batch of prepared pictures.

    A pipeline of one network run may have `begin(item, clock) -> Future` as well: `run` of one picture, not waited for.
    """

    @property
    def needed_pixels(self) -> tuple[int, int] | None:
        """The least decoded (height, width) that gives the same result, None for the whole picture."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know about this pipeline beside its networks, a line each."""
        ...

    def prepare(self, picture: Picture, clock: StageClock) -> Any: ...

    def run(self, batch: list[Any], clock: StageClock) -> list[Any]: ...

    def finish(self, item: Any, raw: Any, clock: StageClock) -> np.ndarray | Files:
        """A picture, or files. Raises TrtkitError where this one picture could not be done."""
        ...
