"""The hub: it has the networks and looks after the fronts, from the first to the last of them."""

from __future__ import annotations

import logging
import os
import pickle
import selectors
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from trtkit.errors import CheckFailed
from trtkit.serve.batcher import Batcher
from trtkit.serve.fronts.aggregation import Aggregation, Counted, plain
from trtkit.serve.fronts.channel import Channel
from trtkit.serve.fronts.network_info import state_of
from trtkit.serve.fronts.process_metrics import of_processes
from trtkit.serve.fronts.request_handler import RequestHandler
from trtkit.serve.fronts.shared_gauges import NETWORKS, SharedGauges
from trtkit.serve.fronts.spawn import spawn
from trtkit.serve.fronts.start import Start

log = logging.getLogger("trtkit.serve")

_ANEW_SECONDS, _ANEW_MOST = 1.0, 30.0
"""Until the next try where a front ended before it served; twice as long after each such end, up to the second."""

_TRIES = 5
"""So many such ends in the place of one front, and no other that serves, are the server's end: a supervisor has to see
it, where clients would only wait in the socket's backlog."""

_OVER_SECONDS = 5.0
"""Past the time that requests get on SIGTERM: for a front to end."""


@dataclass(eq=False)
class _Front:
    number: int
    row: int
    process: subprocess.Popen[bytes]
    channel: Channel
    handler: RequestHandler | None = None
    serves: bool = False


class Hub:
    """Starts `count` fronts at once, so that they import while the networks are opened; `serve` does the rest.

    Everything but the networks' lanes happens in the main thread.
    """

    def __init__(self, fronts: int) -> None:
        """Raises CheckFailed where they cannot be started."""
        self._numbers = count()
        self._fronts: dict[int, _Front] = {}
        self._aggregation = Aggregation()
        self._due: dict[int, float] = {}  # row → when a front is started for it
        self._failed: Counter[int] = Counter()  # row → fronts that ended before they served, since one did
        self._stops = 0
        self._forced = False
        self._until: float | None = None  # by when a drain is over
        try:
            for row in range(fronts):
                self._spawn(row)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise CheckFailed(
                    f"a front process could not be started ({error.strerror or error}); right would be fewer "
                    "--processes, or a higher limit of what this user or container may have"
                ) from error
            raise

    def serve(self, networks: Sequence[Batcher], start: Start, bound: socket.socket, ready: Callable[[], None]) -> None:
        """Until SIGTERM or SIGINT; what was accepted is finished first. `ready` is called when all fronts serve.

        Raises CheckFailed if a front ends before that, and later where none is left and no other can be started.
        """
        self._networks, self._bound = networks, bound
        self._ready: Callable[[], None] | None = ready
        self._start = start
        self._gauges = SharedGauges.new(start.fronts, len(networks))
        for number, network in enumerate(networks):
            network.expect_also(lambda column=NETWORKS + number: self._gauges.total(column))  # type: ignore[misc]
        self._selector = selectors.DefaultSelector()
        with self._signals():
            for front in self._fronts.values():
                self._begin(front)
            while self._fronts or self._due:
                for key, _ in self._selector.select(self._pause()):
                    if isinstance(key.data, _Front):
                        self._hear(key.data)
                    else:
                        key.fileobj.recv(64)  # type: ignore[union-attr]
                self._look()

    def close(self) -> None:
        """End the fronts that are left."""
        for front in self._fronts.values():
            front.process.kill()
            front.channel.close()
            front.process.wait()
        self._fronts.clear()

    def _spawn(self, row: int) -> _Front:
        process, channel = spawn()
        front = _Front(next(self._numbers), row, process, channel)
        self._fronts[front.number] = front
        return front

    def _begin(self, front: _Front) -> None:
        front.handler = RequestHandler(self._networks, front.channel, front.process.kill)
        self._selector.register(front.channel, selectors.EVENT_READ, front)
        self._say(front, "start", front.row, pickle.dumps(self._start), descriptor=self._gauges.descriptor)
        self._say(front, "listen", descriptor=self._bound.fileno())

    def _say(self, front: _Front, *message: Any, descriptor: int | None = None) -> None:
        """One that has ended or does not read, and so may have half a message, is no more."""
        try:
            front.channel.send(message, descriptor=descriptor)
        except BlockingIOError:
            log.warning("front process %d has not read what it was sent, and is ended", front.process.pid)
            front.process.kill()  # heard next
        except OSError:
            front.process.kill()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT wake the loop; a second SIGINT does not wait for requests."""
        hears, says = socket.socketpair()
        for end in (hears, says):
            end.setblocking(False)
        self._selector.register(hears, selectors.EVENT_READ)

        def stop(number: int, _: Any) -> None:
            self._forced = self._forced or (self._stops > 0 and number == signal.SIGINT)
            self._stops += 1

        before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
        woken = signal.set_wakeup_fd(says.fileno())
        try:
            yield
        finally:
            signal.set_wakeup_fd(woken)
            for one, handler in before.items():
                signal.signal(one, handler)
            hears.close()
            says.close()

    def _pause(self) -> float | None:
        """Seconds until something is due by itself."""
        times = [one for one in (self._aggregation.look(), self._until, *self._due.values()) if one is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _look(self) -> None:
        """What is due by itself."""
        now = time.monotonic()
        if self._stops and self._until is None:
            self._drain(now)
        if self._forced or (self._until is not None and now >= self._until):
            for front in self._fronts.values():
                front.process.kill()
            if self._fronts and not self._forced:
                log.warning("%d front processes had to be ended", len(self._fronts))
            self._until = now + _OVER_SECONDS if self._fronts else self._until
        for row, due in tuple(self._due.items()):
            if due <= now:
                del self._due[row]
                self._start_anew(row)

    def _start_anew(self, row: int) -> None:
        try:
            front = self._spawn(row)
        except OSError as error:
            log.warning("a front process could not be started: %s", error)
            self._try_later(row, f"could not be started: {error.strerror or error}")
        else:
            self._begin(front)

    def _try_later(self, row: int, why: str) -> None:
        """A front ended before it served. Raises CheckFailed where that leads nowhere."""
        self._failed[row] += 1
        times = self._failed[row]
        if times >= _TRIES and not any(one.serves for one in self._fronts.values()):
            raise CheckFailed(
                f"no front process serves any more, and none could be started {times} times in a row (the last: "
                f"{why}); what they said, if anything, is above"
            )
        self._due[row] = time.monotonic() + min(_ANEW_MOST, _ANEW_SECONDS * 2 ** min(times - 1, 10))

    def _drain(self, now: float) -> None:
        self._until = now + self._start.settings.limits.drain + _OVER_SECONDS
        self._due.clear()
        with suppress(OSError):  # macOS: a listening socket is not connected; fronts look themselves
            self._bound.shutdown(socket.SHUT_RDWR)
        for front in self._fronts.values():
            self._say(front, "drain")

    def _hear(self, front: _Front) -> None:
        assert front.handler is not None
        messages = front.channel.receive()
        if messages is None:
            self._ended(front)
            return
        for message in messages:
            try:
                self._take(front, front.handler, *message)
            except Exception:
                log.exception("front process %d said what was not understood", front.process.pid)
                front.process.kill()
                return

    def _take(self, front: _Front, handler: RequestHandler, word: str, *content: Any) -> None:
        if word in handler.words:
            handler.words[word](*content)
        elif word == "listening":
            self._serves(front)
        elif word == "ask":
            self._ask(front, *content)
        elif word == "told":
            self._aggregation.told(front.number, *content)

    def _serves(self, front: _Front) -> None:
        front.serves = True
        if self._ready is not None and all(one.serves for one in self._fronts.values()) and not self._due:
            self._ready()
            self._ready = None
        self._failed.clear()
        if self._stops:
            self._say(front, "drain")

    def _ended(self, front: _Front) -> None:
        """Its connections are lost; everybody else's go on."""
        assert front.handler is not None
        self._selector.unregister(front.channel)
        del self._fronts[front.number]
        front.handler.close()
        try:
            front.process.wait(_OVER_SECONDS)
        except subprocess.TimeoutExpired:
            front.process.kill()
            front.process.wait()
        self._gauges.clear(front.row)
        self._aggregation.leaves(front.number)
        if self._stops:
            return
        if self._ready is not None:
            self.close()
            raise CheckFailed(
                f"a front process ended before it served ({_how(front.process)}); what it said, if anything, is above"
            )
        log.warning("front process %d ended (%s); another takes its place", front.process.pid, _how(front.process))
        if front.serves:
            self._due[front.row] = time.monotonic()
        else:
            self._try_later(front.row, _how(front.process))

    def _processes(self) -> dict[str, float]:
        try:
            return of_processes([os.getpid(), *(one.process.pid for one in self._fronts.values())])
        except Exception:  # figures that cannot be had are no reason to end the server
            log.exception("the figures of the processes cannot be read")
            return {}

    def _ask(self, front: _Front, number: int) -> None:
        def tell(counted: Counted) -> None:
            said = plain(counted)
            said["networks"] = [state_of(network) for network in self._networks]
            said["process"] = self._processes()
            self._say(front, "totals", number, said)

        def asking(one: _Front) -> Callable[[int], None]:
            def ask(question: int) -> None:
                self._say(one, "tell", question)

            return ask

        self._aggregation.ask({one.number: asking(one) for one in self._fronts.values() if one.serves}, tell)


def _how(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    return f"signal {-code}" if code < 0 else f"exit {code}"
