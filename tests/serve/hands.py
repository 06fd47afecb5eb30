"""Hands on a network in tests: inputs for it, runs that are held, and waiting for what comes by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np


def image(value: int = 0, side: int = 4, rows: int = 1) -> dict[str, np.ndarray]:
    return {"image": np.full((rows, side, side, 3), value, np.uint8)}


def eventually(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came to be")


class Hold:
    """Keeps every run of a network until released; `runs` have begun."""

    def __init__(self, network) -> None:
        self.runs = 0
        self.entered, self.release = threading.Event(), threading.Event()
        network.before = self

    def __call__(self, arrays) -> None:
        self.runs += 1
        self.entered.set()
        assert self.release.wait(30)
