"""What every model's pipeline presents: host work before, network runs, host work after.

The command line calls the three in order, the server calls prepare and finish in a pool of threads and runs networks
in batches: one pipeline, two ways to drive it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from trtkit.models.imaging.decode import Picture


class StageClock:
    """Seconds spent in each stage, summed over threads; stages keep the order they were first entered in."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + spent


class Pipeline(Protocol):
    """prepare and finish are pure host work for one picture; run takes a batch of prepared pictures."""

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

    def finish(self, item: Any, raw: Any, clock: StageClock) -> np.ndarray: ...
