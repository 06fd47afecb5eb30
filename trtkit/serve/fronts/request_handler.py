"""The hub's side of one front's runs: tensors are taken from shared memory and answered there."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from trtkit.runtime.backend import Arrays
from trtkit.serve.batcher import Batcher
from trtkit.serve.fronts.channel import Channel
from trtkit.serve.fronts.errors import no_memory, packed
from trtkit.serve.fronts.memory import Segment, after, anonymous
from trtkit.serve.fronts.network_info import state_of
from trtkit.serve.ticket import Ticket, carried

log = logging.getLogger("trtkit.serve")


class RequestHandler:
    """Takes one front's words in the hub's own thread; answers come from the networks' lanes."""

    def __init__(self, networks: Sequence[Batcher], channel: Channel, stuck: Callable[[], None]) -> None:
        """`stuck` is called when the front takes no answers."""
        self._networks, self._channel, self._stuck = networks, channel, stuck
        self._segments: dict[int, Segment] = {}
        self._unmapped: dict[int, OSError] = {}
        self._tickets: dict[int, Ticket] = {}
        self.words: dict[str, Callable[..., None]] = {
            "run": self._run,
            "gone": self._gone,
            "new": self._new,
            "forget": self._forget,
            "how": self._how,
            "look": lambda network: networks[network].look(),
            "trim": lambda network: threading.Thread(target=networks[network].trim).start(),  # it takes a while
        }

    def close(self) -> None:
        """The front is no more: what waits for a run is withdrawn."""
        for ticket in tuple(self._tickets.values()):
            ticket.hang_up()
        for network in self._networks:
            network.look()
        self._segments.clear()
        self._channel.close()

    def _new(self, number: int, size: int) -> None:
        try:
            self._segments[number] = Segment(number, size, self._channel.descriptor())
        except OSError as error:
            # Only what comes in it is lost: see _run.
            log.warning("a front's memory could not be mapped: %s", error)
            self._unmapped[number] = error

    def _forget(self, number: int) -> None:
        if self._unmapped.pop(number, None) is None:
            del self._segments[number]

    def _how(self, question: int) -> None:
        """The networks fare: at once, and without a word of the other fronts."""
        self._send(("totals", question, {"networks": [state_of(network) for network in self._networks]}))

    def _gone(self, number: int) -> None:
        ticket = self._tickets.get(number)
        if ticket is not None:
            ticket.hang_up()

    def _run(
        self,
        number: int,
        network: int,
        deadline: float,
        limit: float,
        segment: int,
        places: Sequence[tuple[str, tuple[int, ...], int]],
    ) -> None:
        if segment in self._unmapped:
            self._send(("lost", number, packed(no_memory(self._unmapped[segment]))))
            return
        memory, batcher = self._segments[segment], self._networks[network]
        ticket = self._tickets[number] = Ticket(deadline, limit)
        try:
            arrays = {name: memory.array(shape, batcher.inputs[name][0], at) for name, shape, at in places}
            with carried(ticket):
                future = batcher.submit(arrays)
        except Exception as error:
            self._fail(number, error)
        else:
            future.add_done_callback(lambda done: self._ran(number, memory, done))

    # From here on: the lanes.

    def _ran(self, number: int, memory: Segment, done: Future[Arrays]) -> None:
        error = done.exception()
        if error is None:
            try:
                self._answer(number, memory, done.result())
                return
            except Exception as failed:
                log.exception("an answer could not be handed to a front")
                error = no_memory(failed) if isinstance(failed, (OSError, MemoryError)) else failed
        self._fail(number, error)

    def _answer(self, number: int, memory: Segment, outputs: Arrays) -> None:
        """The inputs are done with, so the outputs lie where they lay, if they fit there."""
        places = []
        size = 0
        for name, array in outputs.items():
            places.append((name, array.dtype.str, array.shape, size))
            size = after(size, array.nbytes)
        if size <= memory.size:
            _write(outputs, memory, places)
            self._say(number, ("done", number, tuple(places)))
            return
        descriptor = anonymous(size)
        try:
            _write(outputs, Segment(0, size, os.dup(descriptor)), places)
            self._say(number, ("elsewhere", number, tuple(places), size), descriptor)
        finally:
            os.close(descriptor)

    def _fail(self, number: int, error: BaseException) -> None:
        self._say(number, ("failed", number, packed(error)))

    def _say(self, number: int, message: tuple[Any, ...], descriptor: int | None = None) -> None:
        self._tickets.pop(number, None)
        self._send(message, descriptor)

    def _send(self, message: tuple[Any, ...], descriptor: int | None = None) -> None:
        try:
            self._channel.send(message, descriptor=descriptor)
        except BlockingIOError:
            log.warning("a front process has not read what it was sent, and is ended")
            self._stuck()
        except OSError:
            self._stuck()


def _write(outputs: Arrays, memory: Segment, places: Sequence[tuple[str, str, tuple[int, ...], int]]) -> None:
    for (_, dtype, shape, at), array in zip(places, outputs.values(), strict=True):
        np.copyto(memory.array(shape, dtype, at), array)
