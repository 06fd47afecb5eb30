"""What stands before a network in a server: its batcher, or in a front process the proxy for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from trtkit.runtime.backend import Backend

if TYPE_CHECKING:
    from trtkit.serve.counts import NetworkCounts
    from trtkit.serve.ticket import Ticket


class BreakerState(Protocol):
    """What is asked of a breaker."""

    @property
    def open(self) -> bool: ...

    @property
    def reason(self) -> str: ...


class Network(Backend, Protocol):
    """A network to which requests are announced, and whose runs they share. Safe to call from any thread.

    In a front process `breaker`, `counts` and `depth` are as the hub said them last: see Service.totals.
    """

    title: str
    """'MODEL/NETWORK', for people."""
    max_batch: int
    counts: NetworkCounts

    @property
    def breaker(self) -> BreakerState: ...

    @property
    def places(self) -> int:
        """Pictures of use at once."""
        ...

    @property
    def depth(self) -> int:
        """Requests that wait for a run."""
        ...

    def announce(self, ticket: Ticket) -> None:
        """A request is on its way here: a batch may wait for it."""
        ...

    def arrived(self, ticket: Ticket) -> None:
        """It is here, or it will not come."""
        ...
