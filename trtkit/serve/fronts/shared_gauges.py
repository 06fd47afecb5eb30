"""Numbers that every process of a server sees at once: each front writes its own, and all of them read the sums."""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from trtkit.serve.ended import Ended
from trtkit.serve.fronts.memory import anonymous

_BYTES = 8
UNDER_WAY, BODIES, BODY_BYTES, CONNECTIONS, NETWORKS = range(5)
"""The columns; from NETWORKS on, how many requests are on their way to each network."""


class SharedGauges:
    """`fronts` numbers in each of `columns` columns, in shared memory, all 0 at first. Behind them lie the sessions of
    the page that have ended."""

    def __init__(self, fronts: int, columns: int, descriptor: int) -> None:
        """`descriptor` stays open, for the lock."""
        self._fronts = fronts
        self._columns = columns
        self.descriptor = descriptor
        self._lock = threading.Lock()
        end = fronts * columns * _BYTES
        memory = memoryview(mmap.mmap(descriptor, end + Ended.SIZE))
        self._numbers = memory[:end].cast("q")
        self.ended = Ended(memory[end:], self._alone)

    @classmethod
    def new(cls, fronts: int, networks: int) -> SharedGauges:
        columns = NETWORKS + networks
        return cls(fronts, columns, anonymous(fronts * columns * _BYTES + Ended.SIZE))

    def total(self, column: int) -> int:
        first = column * self._fronts
        return sum(self._numbers[first : first + self._fronts])

    def excess(self, column: int, front: int) -> int:
        """How much more `front` has than whoever has least."""
        first = column * self._fronts
        return self._numbers[first + front] - min(self._numbers[first : first + self._fronts])

    def add(self, front: int, column: int, amount: int) -> None:
        """By `front` alone, from any of its threads."""
        with self._lock:
            self._numbers[column * self._fronts + front] += amount

    def clear(self, front: int) -> None:
        """Of a front that is no more."""
        for column in range(self._columns):
            self._numbers[column * self._fronts + front] = 0

    def add_below(self, front: int, column: int, most: int) -> bool:
        """One more unless all fronts have `most` together."""
        with self._alone():
            if self.total(column) >= most:
                return False
            self.add(front, column, 1)
            return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other process is here. One that dies in the middle leaves no lock behind."""
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self.descriptor)


class SharedGauge:
    """A front's own number of a column: see Gauge."""

    def __init__(self, gauges: SharedGauges, front: int, column: int) -> None:
        self._gauges, self._front, self._column = gauges, front, column

    @property
    def excess(self) -> int:
        """How much more it has than the front that has least."""
        return self._gauges.excess(self._column, self._front)

    @property
    def total(self) -> int:
        return self._gauges.total(self._column)

    def add(self, amount: int) -> None:
        self._gauges.add(self._front, self._column, amount)

    def add_below(self, most: int) -> bool:
        return self._gauges.add_below(self._front, self._column, most)
