"""One request's right to be worked on: until its deadline, and as long as its client is there."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trtkit.serve.refusal import Gone, Refused

if TYPE_CHECKING:
    from trtkit.serve.network import Network


@dataclass(eq=False)
class Ticket:
    """`deadline` is a time of time.monotonic(); `limit` is how many seconds that gave, for the sentence.

    `announced` are the networks that expect this request and have not seen it yet: see Network.announce. `when_gone`
    are told when the client hangs up.
    """

    deadline: float
    limit: float
    gone: bool = False
    announced: set[Network] = field(default_factory=set)
    when_gone: set[Callable[[], None]] = field(default_factory=set)

    def check(self) -> None:
        """Raises Gone if the client has left, Refused (504) if the time is over."""
        if self.gone:
            raise Gone
        if time.monotonic() >= self.deadline:
            raise self.late()

    def late(self) -> Refused:
        return Refused(504, f"not done within the time limit of {self.limit:g} s; try again, or a smaller picture", 1)

    @property
    def dead(self) -> bool:
        return self.gone or time.monotonic() >= self.deadline

    def hang_up(self) -> None:
        """The client has left."""
        self.gone = True
        for tell in tuple(self.when_gone):
            tell()

    def withdraw(self) -> None:
        """Tell the networks that still expect this request not to wait for it."""
        for network in tuple(self.announced):
            network.arrived(self)


_current: contextvars.ContextVar[Ticket | None] = contextvars.ContextVar("ticket", default=None)


def current() -> Ticket | None:
    """The ticket of the request whose pipeline this thread runs."""
    return _current.get()


@contextmanager
def carried(ticket: Ticket) -> Iterator[None]:
    """Within, network runs of this thread belong to `ticket`: Backend.run has no argument for it."""
    token = _current.set(ticket)
    try:
        yield
    finally:
        _current.reset(token)
