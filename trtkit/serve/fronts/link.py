"""A front's end of the channel to the hub: runs on their way, and questions."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from trtkit.runtime.backend import Arrays
from trtkit.serve.fronts.channel import Channel
from trtkit.serve.fronts.errors import no_memory, unpacked
from trtkit.serve.fronts.memory import Pool, Segment, after
from trtkit.serve.fronts.network_info import NetworkState
from trtkit.serve.fronts.remote_network import Leaving, RemoteNetwork
from trtkit.serve.refusal import Refused
from trtkit.serve.ticket import Ticket
from trtkit.serve.totals import Totals

log = logging.getLogger("trtkit.serve")

_ANSWER_SECONDS = 5.0
"""What the hub takes at most to say how the whole server fares; it asks all fronts."""

_FOR_EVER = float("inf")


@dataclass(eq=False)
class _Run:
    future: Future[Arrays]
    segment: Segment
    size: int
    network: int
    forget: Callable[[], None]


class Link:
    """Sends runs to the hub; its own thread takes what comes back."""

    def __init__(
        self,
        channel: Channel,
        networks: int,
        own: Callable[[], Any],
        drain: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        """`own` gives this front's counts as the hub gathers them; `drain` is called when the server is to end, `lost`
        when the hub is no more."""
        self._channel, self._own, self._drain, self._lost = channel, own, drain, lost
        self._pool = Pool(
            lambda segment, descriptor: channel.send(("new", segment.number, segment.size), descriptor=descriptor),
            lambda number: channel.send(("forget", number)),
        )
        self._numbers = count()
        self._runs: dict[int, _Run] = {}
        self._asked: dict[int, Future[dict[str, Any]]] = {}
        self._room = [(1.0, 0)] * networks
        """Each network's outputs over its inputs, where they were larger, and the most bytes of them."""
        self._remotes: Sequence[RemoteNetwork] = ()

    def start(self, remotes: Sequence[RemoteNetwork]) -> None:
        self._remotes = remotes
        threading.Thread(target=self._listen, name="trtkit-hub", daemon=True).start()

    def say(self, word: str) -> None:
        self._channel.send((word,))

    def run(
        self, network: int, arrays: Mapping[str, np.ndarray], ticket: Ticket | None, leaving: Leaving
    ) -> Future[Arrays]:
        """Raises Refused (503) where no memory can be shared."""
        places = []
        size = 0
        for name, array in arrays.items():
            places.append((name, array.shape, size))
            size = after(size, array.nbytes)
        try:
            ratio, most = self._room[network]
            segment = self._pool.take(max(1, size, min(int(size * ratio), most)))
        except OSError as error:
            raise no_memory(error) from error
        for (_, shape, at), array in zip(places, arrays.values(), strict=True):
            np.copyto(segment.array(shape, array.dtype, at), array)
        number = next(self._numbers)
        future: Future[Arrays] = Future()
        run = self._runs[number] = _Run(future, segment, max(1, size), network, lambda: None)
        deadline, limit = (_FOR_EVER, 0.0) if ticket is None else (ticket.deadline, ticket.limit)
        leaving()
        self._channel.send(("run", number, network, deadline, limit, segment.number, tuple(places)))
        if ticket is not None:
            self._follow(number, run, ticket)
        return future

    def _follow(self, number: int, run: _Run, ticket: Ticket) -> None:
        """Let the hub know when the client hangs up."""

        def gone() -> None:
            if number in self._runs:
                self._channel.send(("gone", number))

        run.forget = lambda: ticket.when_gone.discard(gone)
        ticket.when_gone.add(gone)
        if ticket.gone:
            gone()
        if number not in self._runs:
            run.forget()

    def look(self, network: int) -> None:
        self._channel.send(("look", network))

    def trim(self, network: int) -> None:
        self._pool.trim()
        self._channel.send(("trim", network))

    async def totals(self) -> Totals:
        """As Hub.totals has it: see trtkit.serve.totals."""
        said = await self._answer("ask")
        return Totals(said["answers"], said["stages"], said["process"])

    async def refresh(self) -> None:
        """As Hub.refresh has it."""
        await self._answer("how")

    async def _answer(self, question: str) -> dict[str, Any]:
        number = next(self._numbers)
        asked = self._asked[number] = Future()
        self._channel.send((question, number))
        try:
            said: dict[str, Any] = await asyncio.wait_for(asyncio.wrap_future(asked), _ANSWER_SECONDS)
        except TimeoutError:
            raise Refused(503, "the server's own hub does not answer; try again", 1) from None
        finally:
            self._asked.pop(number, None)
        for remote, state in zip(self._remotes, said["networks"], strict=True):
            remote.fares(NetworkState(**state))
        return said

    def _listen(self) -> None:
        while (messages := self._channel.receive()) is not None:
            for message in messages:
                try:
                    self._take(*message)
                except Exception:
                    log.exception("a word of the hub was not understood")
        self._lost()

    def _take(self, word: str, *content: Any) -> None:
        if word == "done":
            self._done(*content)
        elif word == "elsewhere":
            self._done_elsewhere(*content)
        elif word in ("failed", "lost"):
            number, error = content
            run = self._end(number)
            (self._pool.give_back if word == "failed" else self._pool.discard)(run.segment)
            _settle(run.future, None, unpacked(error))
        elif word == "tell":
            self._channel.send(("told", content[0], self._own()))
        elif word == "totals":
            asked = self._asked.get(content[0])
            if asked is not None:
                _settle(asked, content[1], None)
        elif word == "drain":
            self._drain()

    def _end(self, number: int) -> _Run:
        run = self._runs.pop(number)
        run.forget()
        return run

    def _done(self, number: int, places: Sequence[tuple[str, str, tuple[int, ...], int]]) -> None:
        run = self._end(number)
        # Copied: the segment is free for the next run at once, whatever the pipeline keeps.
        self._answered(
            run, lambda: {name: run.segment.array(shape, dtype, at).copy() for name, dtype, shape, at in places}
        )

    def _done_elsewhere(self, number: int, places: Sequence[tuple[str, str, tuple[int, ...], int]], size: int) -> None:
        """The outputs did not fit where the inputs were: the hub sends memory of its own, once; the next run brings
        enough."""
        run = self._end(number)
        ratio, most = self._room[run.network]
        self._room[run.network] = max(ratio, size / run.size), max(most, size)

        def outputs() -> Arrays:
            segment = Segment(0, size, self._channel.descriptor())
            return {name: segment.array(shape, dtype, at) for name, dtype, shape, at in places}

        self._answered(run, outputs)

    def _answered(self, run: _Run, outputs: Callable[[], Arrays]) -> None:
        """Whatever happens, the run ends: a request that never does keeps its place in the queue."""
        found: Arrays | None = None
        error: Exception | None = None
        try:
            found = outputs()
        except (OSError, MemoryError) as failed:
            error = no_memory(failed)
        except Exception as failed:
            error = failed
        self._pool.give_back(run.segment)
        _settle(run.future, found, error)


def _settle(future: Future[Any], result: Any, error: Exception | None) -> None:
    try:
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    except InvalidStateError:  # whoever waited has been torn off
        log.debug("an answer of the hub came for nobody")
