"""A network in a front process: a proxy with the interface of the hub's batcher, and hands each run on to it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Protocol

import numpy as np

from trtkit.runtime.backend import Arrays, check_inputs
from trtkit.serve.counts import NetworkCounts
from trtkit.serve.fronts.network_info import BreakerSnapshot, NetworkInfo, NetworkState
from trtkit.serve.gauges import Gauge
from trtkit.serve.ticket import Ticket, current


class Runner(Protocol):
    """The way to the hub, as the proxy needs it; networks have numbers there."""

    def run(
        self, network: int, arrays: Mapping[str, np.ndarray], ticket: Ticket | None, leaving: Leaving
    ) -> Future[Arrays]: ...

    def look(self, network: int) -> None: ...

    def trim(self, network: int) -> None: ...


class Leaving(Protocol):
    """Called right before the run is sent."""

    def __call__(self) -> None: ...


class RemoteNetwork:
    """Network number `number` of the hub, which is a trtkit.serve.network.Network; `coming` counts this front's
    requests that are on their way to it."""

    def __init__(self, number: int, info: NetworkInfo, hub: Runner, coming: Gauge) -> None:
        self._number, self._hub, self._coming = number, hub, coming
        self.title, self.name, self.device = info.title, info.name, info.device
        self.inputs, self.outputs, self.profiles = info.inputs, info.outputs, info.profiles
        self.max_batch, self.places = info.max_batch, info.places
        self.counts, self.breaker, self.depth = NetworkCounts(), BreakerSnapshot(), 0
        self._lock = threading.Lock()

    def fares(self, state: NetworkState) -> None:
        """What the hub says of it now."""
        self.depth, self.breaker = state.depth, BreakerSnapshot(state.open, state.reason)
        self.counts = NetworkCounts(**state.counts)

    def announce(self, ticket: Ticket) -> None:
        with self._lock:
            self._coming.add(1)
            ticket.announced.add(self)

    def arrived(self, ticket: Ticket) -> None:
        if self._forget(ticket):
            self._hub.look(self._number)

    def run(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        return self.submit(arrays).result()

    def submit(self, arrays: Mapping[str, np.ndarray]) -> Future[Arrays]:
        """As Batcher.submit, except that what the hub refuses is the future's error. Raises Mistake."""
        ticket = current()
        check_inputs(self.inputs, arrays)

        def leaving() -> None:
            # Not sooner: a batch would start without it. Not later: a lone client would wait for company.
            if ticket is not None:
                self._forget(ticket)

        return self._hub.run(self._number, arrays, ticket, leaving)

    def trim(self) -> None:
        self._hub.trim(self._number)

    def close(self) -> None:
        """Nothing: the network is the hub's."""

    def _forget(self, ticket: Ticket) -> bool:
        with self._lock:
            if self not in ticket.announced:
                return False
            ticket.announced.discard(self)
            self._coming.add(-1)
            return True
