"""Numbers that bound a server as a whole, whether it is one process or several."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Gauge(Protocol):
    """How much of something there is."""

    @property
    def total(self) -> int:
        """In all processes of the server."""
        ...

    def add(self, amount: int) -> None: ...

    def add_below(self, most: int) -> bool:
        """One more, unless there are `most` already; whether it was added."""
        ...


class LocalGauge:
    """Of a server that is one process. Lives in one thread."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, amount: int) -> None:
        self.total += amount

    def add_below(self, most: int) -> bool:
        if self.total >= most:
            return False
        self.total += 1
        return True


@dataclass(frozen=True)
class Gauges:
    """Requests that have a place in the queue; bodies on their way in, and their bytes."""

    under_way: Gauge = field(default_factory=LocalGauge)
    bodies: Gauge = field(default_factory=LocalGauge)
    body_bytes: Gauge = field(default_factory=LocalGauge)
