"""Many short runs of several contenders, interleaved: percentiles, where a median of rounds says too little."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

LEAD_IN = 3
"""Runs at the start of every burst that do not count."""


@dataclass(frozen=True)
class Samples:
    """Seconds of every run that counts, in order."""

    seconds: tuple[float, ...]

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.seconds, percent))

    @property
    def p50(self) -> float:
        return self.percentile(50)

    @property
    def jitter(self) -> float:
        """(p99 − p50) / p50."""
        return (self.percentile(99) - self.p50) / self.p50


Burst = Callable[[int], list[float]]
"""Runs that many times; gives the seconds of each."""


def burst(run: Callable[[], object]) -> Burst:
    """A contender from a function that does one run and waits for it."""

    def times(count: int) -> list[float]:
        seconds = []
        for _ in range(count):
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
        return seconds

    return times


def sample(contenders: Mapping[str, Burst], rounds: int, each: int) -> dict[str, Samples]:
    """`each` runs of every contender a round, `rounds` times after one round that does not count, every burst of them
    after LEAD_IN runs that do not count.

    Every second round goes through them in reverse, so that none always profits from the one before it.
    """
    kept: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds + 1):
        for name in names if number % 2 else reversed(names):
            # The first runs after another contender's pay for the switch: its data in the caches, its blocks in the
            # allocator, clocks that fell meanwhile. That is no one's jitter, and of some hundred runs it would be p99.
            seconds = contenders[name](LEAD_IN + each)[LEAD_IN:]
            if number:
                kept[name] += seconds
    return {name: Samples(tuple(seconds)) for name, seconds in kept.items()}
