"""Fair timing on a machine that does other things: interleaved rounds, medians, ratios of each round."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Stopwatch:
    """Collects the seconds of named stages of one run; a stage entered twice adds up."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@dataclass(frozen=True)
class Timing:
    """One contender's rounds: `rounds` holds the seconds of each stage, a dictionary a round."""

    rounds: tuple[dict[str, float], ...]

    @property
    def totals(self) -> tuple[float, ...]:
        """Seconds of each round, all stages."""
        return tuple(sum(stages.values()) for stages in self.rounds)

    @property
    def median(self) -> float:
        """Median seconds of a round."""
        return median(self.totals)

    @property
    def stages(self) -> dict[str, float]:
        """Median seconds of each stage."""
        return {name: median(stages[name] for stages in self.rounds) for name in self.rounds[0]}

    @property
    def shares(self) -> dict[str, float]:
        """Each stage's share of the sum of the medians, 0..1."""
        stages = self.stages
        whole = sum(stages.values())
        return {name: seconds / whole for name, seconds in stages.items()}


@dataclass(frozen=True)
class Ratio:
    """How many times as long one contender took as another: median, least and greatest of the rounds."""

    median: float
    least: float
    greatest: float


def interleave(contenders: Mapping[str, Callable[[Stopwatch], None]], rounds: int) -> dict[str, Timing]:
    """Run every contender once a round, `rounds` times after one round that does not count.

    Every second round runs them in reverse, so that none always profits from the one before it. Raises
    ValueError for fewer than one round.
    """
    if rounds < 1:
        raise ValueError(f"rounds is {rounds}; at least 1 is needed")
    kept: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    names = list(contenders)
    for number in range(rounds + 1):
        for name in names if number % 2 else reversed(names):
            watch = Stopwatch()
            contenders[name](watch)
            if number:
                kept[name].append(watch.seconds)
    return {name: Timing(tuple(runs)) for name, runs in kept.items()}


def ratio(slower: Timing, faster: Timing) -> Ratio:
    """`slower` over `faster`, compared within each round: what slows a whole round cancels out."""
    each = [a / b for a, b in zip(slower.totals, faster.totals, strict=True)]
    return Ratio(median(each), min(each), max(each))
