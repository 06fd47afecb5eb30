"""The served models and the way of one request through its pipeline, without a word of HTTP."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from trtkit.config import Profile
from trtkit.errors import Mistake
from trtkit.models.pipeline import Pipeline, StageClock, Watcher
from trtkit.models.served import in_a_request
from trtkit.models.spec import Model
from trtkit.serve.arrivals import Arrivals
from trtkit.serve.gauges import Gauges
from trtkit.serve.limits import Limits
from trtkit.serve.network import Network
from trtkit.serve.refusal import Gone, Refused
from trtkit.serve.ticket import Ticket
from trtkit.serve.totals import Answers, Hub, Totals
from trtkit.serve.way import Result, Way

log = logging.getLogger("trtkit.serve")

T = TypeVar("T")

_ARRIVING = 4
"""Bodies that may be on their way in for each place of the queue; and of the bytes that all places could hold, they may
hold one part in so many: most are far below the limit of their size."""

_PIPELINES = 32
"""Pipelines kept a model, one for each combination of options that was asked for lately."""


@dataclass(eq=False)
class Served:
    """One model with its networks behind batchers, and what is said about it: `where` it runs, from which `weights`."""

    model: Model
    networks: Mapping[str, Network]
    megapixels: float
    where: tuple[str, ...] = ()
    bounds: Mapping[str, Sequence[Profile]] = field(default_factory=dict)
    """Network → the shapes that a request may ask it for by itself; any where it is not named."""
    _pipelines: dict[tuple, Pipeline] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pipeline(self, options: Mapping[str, Any]) -> Pipeline:
        """The pipeline for `options`, kept for the next request. Raises Mistake for options that exclude each other."""
        key = _key(options)
        found = self._pipelines.get(key) or self._opened(options)
        with self._lock:
            self._pipelines.pop(key, None)
            self._pipelines[key] = found  # the latest last
            while len(self._pipelines) > _PIPELINES:
                del self._pipelines[next(iter(self._pipelines))]
        return found

    def _opened(self, options: Mapping[str, Any]) -> Pipeline:
        try:
            return self.model.open_pipeline(self.networks, options, self.megapixels)
        except Mistake as error:
            if not options:  # the operator's own, who speaks the command line's words
                raise
            raise Mistake(in_a_request(str(error), self.model.served)) from error

    def kept(self, options: Mapping[str, Any]) -> bool:
        """Whether `pipeline` has it at hand."""
        return _key(options) in self._pipelines

    @property
    def problem(self) -> str | None:
        """Why it cannot be used now, None if it can."""
        for batcher in self.networks.values():
            if batcher.breaker.open:
                return f"network {batcher.title} {batcher.breaker.reason}"
        return None


def _key(options: Mapping[str, Any]) -> tuple:
    return tuple(sorted(options.items()))


@dataclass(frozen=True)
class _End:
    """How a picture of `model` ended: `done` is the loop's own future for it."""

    done: asyncio.Future[Result]
    model: str
    result: Result | None
    error: BaseException | None


class Service:
    """Admission, the host pool, and the pipelines' three steps. Lives in one event loop."""

    def __init__(
        self, models: Mapping[str, Served], limits: Limits, gauges: Gauges | None = None, hub: Hub | None = None
    ) -> None:
        """`gauges` and `hub` are those of a server of several processes."""
        self.models = dict(models)
        self.limits = limits
        self._gauges = gauges or Gauges()
        self._hub = hub
        self.arrivals = Arrivals(
            _ARRIVING * limits.queue, max(1, limits.queue // _ARRIVING) * limits.upload, self._gauges
        )
        self.draining = False
        self.stage_seconds: dict[tuple[str, str], tuple[int, float]] = {}
        self._host = ThreadPoolExecutor(limits.workers, thread_name_prefix="trtkit-host")
        # Decoded pictures are what costs memory: as many as keep a network busy, and the host's.
        widest = max((network.places for one in models.values() for network in one.networks.values()), default=1)
        held = widest + limits.workers
        self._places = held
        self._queue: deque[Callable[[], None]] = deque()  # pictures that wait for a place
        self._ends: deque[_End] = deque()
        self._woken = False
        # A pipeline's run waits in its thread for the batch, so there is one for every picture that may be held.
        self._runs = ThreadPoolExecutor(held, thread_name_prefix="trtkit-run")

    def served(self, name: str) -> Served:
        """Raises Refused (404) listing the models."""
        try:
            return self.models[name]
        except KeyError:
            raise Refused(404, f"model '{name}' is not served here; served are: {', '.join(self.models)}") from None

    async def opened(self, served: Served, options: Mapping[str, Any]) -> Pipeline:
        """`served.pipeline`, beside the loop where it has to be opened: one that reads a face model takes a while."""
        if served.kept(options):
            return served.pipeline(options)
        return await self._in(self._host, lambda: served.pipeline(options))

    def ticket(self) -> Ticket:
        """For a request that begins now; it has no place in the queue yet. Raises as `admit` does."""
        self._check_room()
        return Ticket(time.monotonic() + self.limits.seconds, self.limits.seconds)

    def admit(self, ticket: Ticket) -> None:
        """Take a place of the queue for `ticket`, which gives it back by `leave`. Raises Refused: 429 when all are
        taken, 503 when the server shuts down."""
        self._check_open()
        if not self._gauges.under_way.add_below(self.limits.queue):
            raise self._full()

    def _check_room(self) -> None:
        self._check_open()
        if self.under_way >= self.limits.queue:
            raise self._full()

    def _check_open(self) -> None:
        if self.draining:
            raise Refused(503, "the server is shutting down; try another one", 1)

    def _full(self) -> Refused:
        return Refused(429, f"all {self.limits.queue} places of the queue are taken; try again", self._wait())

    @property
    def under_way(self) -> int:
        """Requests of the whole server that have a place in the queue."""
        return self._gauges.under_way.total

    def leave(self, ticket: Ticket) -> None:
        ticket.withdraw()
        self._gauges.under_way.add(-1)

    def _wait(self) -> float:
        """Seconds after which a place is probably free: a share of the time limit."""
        return max(1.0, self.limits.seconds / 5)

    def picture(
        self,
        served: Served,
        pipeline: Pipeline,
        data: bytes,
        name: str,
        suffix: str,
        ticket: Ticket,
        watcher: Watcher | None = None,
    ) -> asyncio.Future[Result]:
        """The file `data`, called `name`, through the pipeline, as the content of a `suffix` file; `watcher` is told of
        each stage.

        The future raises Mistake for a file that is no picture, Refused for one that came too late.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()
        clock = StageClock(watcher)
        placed = clock.begin("queue")
        way = Way(
            pipeline=pipeline,
            data=data,
            name=name,
            suffix=suffix,
            tag=served.model.result_tag,
            megapixels=self.limits.megapixels,
            ticket=ticket,
            clock=clock,
            host=self._host,
            runs=self._runs,
            tell=lambda result, error: self._tell(loop, _End(done, served.model.name, result, error)),
        )

        def start() -> None:
            placed()
            if not ticket.dead:
                for network in served.networks.values():
                    network.announce(ticket)
            way.start()

        if self._places:
            self._places -= 1
            start()
        else:
            self._queue.append(start)
        return done

    def _tell(self, loop: asyncio.AbstractEventLoop, end: _End) -> None:
        """From any thread. The loop is woken once for all ends that it has not seen yet."""
        self._ends.append(end)
        if not self._woken:
            self._woken = True
            loop.call_soon_threadsafe(self._take_ends)

    def _take_ends(self) -> None:
        self._woken = False  # before the look: what comes after it wakes again
        while self._ends:
            end = self._ends.popleft()
            if self._queue:
                self._queue.popleft()()
            else:
                self._places += 1
            if end.result is not None:
                self._note_stages(end.model, end.result.seconds)
            if end.done.cancelled():
                continue
            if end.error is not None:
                end.done.set_exception(end.error)
            elif end.result is not None:
                end.done.set_result(end.result)

    async def guarded(self, work: Callable[[], Awaitable[T]], ticket: Ticket, gone: asyncio.Task | None) -> T:
        """The result of the coroutine or future that `work` makes, or Refused: 504 at the deadline, Gone when `gone`
        is done.

        The work itself is never torn off: it sees the ticket at its next step, ends by itself, and only then gives
        back its place. Releases the ticket in every case.
        """
        task = asyncio.ensure_future(work())
        task.add_done_callback(lambda done: self._ended(done, ticket))
        waiting = {task} | ({gone} if gone is not None else set())
        await asyncio.wait(
            waiting, timeout=max(0.0, ticket.deadline - time.monotonic()), return_when=asyncio.FIRST_COMPLETED
        )
        if task.done():
            return task.result()
        if gone is not None and gone.done():
            ticket.hang_up()
        raise Gone if ticket.gone else ticket.late()

    def _ended(self, task: asyncio.Future, ticket: Ticket) -> None:
        self.leave(ticket)
        if not task.cancelled():
            task.exception()  # looked at: an answer that nobody waits for is no news

    def _note_stages(self, model: str, seconds: Mapping[str, float]) -> None:
        for stage, spent in seconds.items():
            count, total = self.stage_seconds.get((model, stage), (0, 0.0))
            self.stage_seconds[model, stage] = (count + 1, total + spent)

    async def on_host(self, work: Callable[[], T]) -> T:
        """What `work` gives, done in the host pool."""
        return await self._in(self._host, work)

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    async def totals(self, answers: Answers) -> Totals:
        """What the server has done so far, all of it; `answers` are this process's own. Raises Refused (503)."""
        if self._hub is not None:
            return await self._hub.totals()
        return Totals(dict(answers), dict(self.stage_seconds))

    async def refresh(self) -> None:
        """Bring what the networks say of themselves up to date. Raises Refused (503)."""
        if self._hub is not None:
            await self._hub.refresh()

    def close(self) -> None:
        """End the pools, then the networks. The event loop must be idle."""
        self._host.shutdown(wait=True)
        self._runs.shutdown(wait=True)
        for served in self.models.values():
            for network in served.networks.values():
                network.close()

    @property
    def problems(self) -> dict[str, str]:
        """Model → why it cannot be used now; empty when everything can."""
        return {name: served.problem for name, served in self.models.items() if served.problem}
