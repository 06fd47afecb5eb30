"""Numbers that bound a server as a whole, whether it is one process or several."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Tally(Protocol):
    """How much of something there is."""

    @property
    def whole(self) -> int:
        """In all processes of the server."""
        ...

    def add(self, amount: int) -> None: ...

    def add_below(self, most: int) -> bool:
        """One more, unless there are `most` already; whether it was added."""
        ...


class OwnTally:
    """Of a server that is one process. Lives in one thread."""

    def __init__(self) -> None:
        self.whole = 0

    def add(self, amount: int) -> None:
        self.whole += amount

    def add_below(self, most: int) -> bool:
        if self.whole >= most:
            return False
        self.whole += 1
        return True


@dataclass(frozen=True)
class Tallies:
    """Requests that have a place in the queue; bodies on their way in, and their bytes."""

    under_way: Tally = field(default_factory=OwnTally)
    bodies: Tally = field(default_factory=OwnTally)
    body_bytes: Tally = field(default_factory=OwnTally)
