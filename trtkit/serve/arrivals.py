"""Bodies on their way in: so many at once, and so many bytes of them, before any of them has a place in the queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trtkit.serve.gauges import Gauges
from trtkit.serve.refusal import Refused


class Arrivals:
    """At most `most` bodies and `most_bytes` bytes of them, as `gauges` count them. Lives in one event loop.

    A place in the queue is taken by a whole body alone, so clients that send slowly keep nobody out of it; this is what
    bounds them.
    """

    def __init__(self, most: int, most_bytes: int, gauges: Gauges) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._bodies, self.held = gauges.bodies, gauges.body_bytes

    @property
    def count(self) -> int:
        return self._bodies.total

    @property
    def bytes(self) -> int:
        return self.held.total

    @contextmanager
    def one(self) -> Iterator[Arrival]:
        """A body's place here. Raises Refused (429) when all are taken."""
        if self.count >= self.most:
            raise Refused(429, f"{self.count} bodies are being received already; try again", 1)
        self._bodies.add(1)
        arrival = Arrival(self)
        try:
            yield arrival
        finally:
            self._bodies.add(-1)
            arrival.let_go()


class Arrival:
    """What is held of one body."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self.bytes = 0

    def took(self, size: int) -> None:
        """Raises Refused (429) when all bodies together are more than there is room for."""
        self.bytes += size
        self._arrivals.held.add(size)
        if self._arrivals.bytes > self._arrivals.most_bytes:
            raise Refused(429, "too many bytes are being received at once; try again", 1)

    def let_go(self) -> None:
        """What was held is thrown away."""
        self._arrivals.held.add(-self.bytes)
        self.bytes = 0
