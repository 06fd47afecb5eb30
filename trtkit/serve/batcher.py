"""Dynamic batching before one network: requests that fit together become one run.

It has the face of a Backend, so a pipeline calls it as it would call the network itself; each request's pipeline waits
in a thread of its own. A run starts when the batch is full, when its oldest request has waited `max_delay`, or at once
when nobody else is on the way: the server announces a request when it accepts it, so that a lone client never waits.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from trtkit.errors import Mistake
from trtkit.runtime.backend import Arrays, Backend, check_inputs
from trtkit.runtime.gpu import GpuBackend
from trtkit.serve.breaker import Breaker
from trtkit.serve.counts import NetworkCounts
from trtkit.serve.memory import is_out_of_memory
from trtkit.serve.refusal import Refused
from trtkit.serve.ticket import Ticket, current

if TYPE_CHECKING:
    from trtkit.config import Profile

log = logging.getLogger("trtkit.serve")

_GROW_AFTER = 100
"""Good runs after which a batch that memory had halved is doubled again."""


_LOOK_AGAIN = 0.05
"""Seconds between looks at what waits while the backends are busy; the end of a run wakes a lane at once."""


@dataclass(eq=False)
class _Entry:
    arrays: Mapping[str, np.ndarray]
    rows: int
    fit: tuple[tuple[str, tuple[int, ...]], ...]
    """Each input's shape without its first axis: what has to be equal within a run."""
    most: int
    """Rows that a run of this shape may have."""
    ticket: Ticket | None
    arrived: float
    future: Future[Arrays] = field(default_factory=Future)


class Batcher:
    """One network, on one or several backends that hold the same file; `lanes` threads keep each of them busy.

    Requests of a network without a batch axis run alone. Every method may be called from any thread.
    """

    def __init__(
        self,
        title: str,
        backends: Sequence[Backend],
        max_batch: int,
        max_delay: float,
        breaker: Breaker,
        trial: Mapping[str, np.ndarray],
        most_pixels: int | None = None,
    ) -> None:
        """`title` is 'MODEL/NETWORK', for people; `max_delay` in seconds; `trial` is a small input for trial runs;
        `most_pixels`: of images [N, H, W, C], those of all rows of a run together, though one row may always run."""
        first = backends[0]
        self.title, self.name, self.device = title, first.name, first.device
        self.inputs, self.outputs = first.inputs, first.outputs
        self.profiles: Sequence[Profile] = first.profiles
        batchable = all(shape and shape[0] is None for _, shape in (*first.inputs.values(), *first.outputs.values()))
        self.max_batch = max_batch if batchable else 1
        self.breaker = breaker
        self.counts = NetworkCounts()
        self._backends = tuple(backends)
        self._delay = max_delay
        self._most_pixels = most_pixels
        self._trial = dict(trial)
        self._allowed = self.max_batch  # fewer after the memory ran out
        self._good_runs = 0
        self._waiting: deque[_Entry] = deque()
        self._coming = 0
        self._coming_elsewhere: Callable[[], int] = lambda: 0
        self._running = 0
        self._looking = 0  # lanes that will look at what waits after a while
        self._closed = False
        self._change = threading.Condition()
        self._lanes = [
            threading.Thread(target=self._lane, args=(backend,), name=f"trtkit-lane-{title}-{number}", daemon=True)
            for backend in backends
            for number in range(max(1, getattr(backend, "slots", 1)))
        ]
        for lane in self._lanes:
            lane.start()

    @property
    def depth(self) -> int:
        """Requests that wait for a run."""
        return len(self._waiting)

    @property
    def places(self) -> int:
        """Pictures of use at once: a run at work and one behind it on each backend, and one that is collected."""
        return self.max_batch * (1 + min(len(self._lanes), 2 * len(self._backends)))

    @property
    def allowed_batch(self) -> int:
        return self._allowed

    @property
    def lanes_alive(self) -> int:
        return sum(lane.is_alive() for lane in self._lanes)

    def expect_also(self, coming: Callable[[], int]) -> None:
        """`coming` says how many requests are on their way here in other processes; `look` when fewer are."""
        self._coming_elsewhere = coming

    def look(self) -> None:
        """What was waited for will not come."""
        with self._change:
            self._wake()

    def announce(self, ticket: Ticket) -> None:
        """A request is on its way here: a batch may wait for it."""
        with self._change:
            self._coming += 1
            ticket.announced.add(self)

    def arrived(self, ticket: Ticket) -> None:
        """It is here, or it will not come."""
        with self._change:
            if self._forget(ticket):
                self._wake()

    def run(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """As Backend.run, in a batch with others. Raises Refused also when the request was dropped unrun."""
        return self.submit(arrays).result()

    def submit(self, arrays: Mapping[str, np.ndarray]) -> Future[Arrays]:
        """As Backend.submit; the request whose ticket this thread carries owns the run. Raises Mistake, and Refused
        (503) while the breaker is open."""
        ticket = current()
        check_inputs(self.inputs, arrays)
        fit = tuple((name, array.shape[1:]) for name, array in sorted(arrays.items()))
        rows = {len(array) if array.ndim else 1 for array in arrays.values()}
        if len(rows) != 1:
            raise Mistake(f"the inputs of {self.title} have batches of {sorted(rows)}; right would be one size for all")
        entry = _Entry(arrays, rows.pop(), fit, self._most(fit), ticket, time.monotonic())
        with self._change:
            if ticket is not None:
                self._forget(ticket)
            if self._closed:
                raise Refused(503, "the server is shutting down; try another one", 1)
            if self.breaker.open:
                raise self._refusal()
            self._waiting.append(entry)
            self._wake()
        return entry.future

    def trim(self) -> None:
        for backend in self._backends:
            backend.trim()

    def close(self) -> None:
        """Run what waits, end the lanes, close the backends."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        for lane in self._lanes:
            lane.join()
        for backend in self._backends:
            backend.close()

    def _most(self, fit: tuple[tuple[str, tuple[int, ...]], ...]) -> int:
        """Rows of one run: a backend with profiles may take fewer of a large shape than of a small one, and a CPU's
        memory holds fewer."""
        admitted = [
            min(profile[name].max[0] for name, _ in fit)
            for profile in self.profiles
            if all(profile[name].admits((profile[name].max[0], *shape)) for name, shape in fit)
        ]
        most = min(self.max_batch, max(admitted, default=self.max_batch))
        if self._most_pixels is None:
            return most
        largest = max(math.prod(shape[:2]) for _, shape in fit)
        return max(1, min(most, self._most_pixels // max(1, largest)))

    def _forget(self, ticket: Ticket) -> bool:
        """Whether it was expected."""
        if self not in ticket.announced:
            return False
        ticket.announced.discard(self)
        self._coming -= 1
        return True

    def _wake(self) -> None:
        """A lane that looks at what waits, unless none has anything to do and one looks again by itself anyway. A lane
        that ends a run looks as well, so one is enough: it wakes the next where it leaves something to run."""
        if self._waiting and (not self._looking or self._patience() <= 0):
            self._change.notify()

    def _refusal(self) -> Refused:
        due = self.breaker.trial_due_in or 0.0
        return Refused(503, f"network {self.title} {self.breaker.reason}; it is tried again soon", due + 1)

    # From here on: the lanes.

    def _lane(self, backend: Backend) -> None:
        while True:
            batch = self._take()
            if batch is None:
                return
            try:
                if batch:
                    self._serve(backend, batch)
                else:
                    self._try_again(backend)
            except BaseException as error:
                # A lane never dies of a batch: whatever it was, its requests hear of it, as of an ordinary error.
                log.exception("%s: a batch failed unexpectedly", self.title)
                for entry in batch:
                    _settle(entry, error if isinstance(error, Exception) else RuntimeError(_brief(error)))
            finally:
                with self._change:
                    self._running -= 1

    def _take(self) -> list[_Entry] | None:
        """The next batch, [] when a trial run is due, None when closed and nothing waits."""
        with self._change:
            while True:
                self._drop_dead()
                due = self.breaker.trial_due_in
                if due is not None:
                    self._refuse_waiting()
                    if self._closed:
                        return None
                    if due == 0 and not self._running:
                        self._running += 1
                        return []
                    self._change.wait(max(due, _LOOK_AGAIN))
                    continue
                if not self._waiting:
                    if self._closed:
                        return None
                    self._change.wait()
                    continue
                patience = self._patience()
                if patience <= 0:
                    self._running += 1
                    picked = self._pick()
                    self._wake()
                    return picked
                self._looking += 1
                self._change.wait(patience)
                self._looking -= 1

    def _patience(self) -> float:
        """Seconds that the oldest waiting request may yet wait for company.

        While two runs are under way on each backend, one at work and one behind it, a third would start no sooner: what
        waits goes on collecting until one of them ends.
        """
        first = self._waiting[0]
        fitting = sum(entry.rows for entry in self._waiting if entry.fit == first.fit)
        full = fitting >= min(self._allowed, first.most)
        alone = not self._running and not self._coming and not self._coming_elsewhere()
        if full or alone or self._closed:
            return 0.0
        left = first.arrived + self._delay - time.monotonic()
        return max(left, _LOOK_AGAIN) if self._running >= 2 * len(self._backends) else left

    def _pick(self) -> list[_Entry]:
        """The oldest request and what fits with it, in order, up to a full batch."""
        first = self._waiting[0]
        picked: list[_Entry] = []
        rows, most = 0, min(self._allowed, first.most)
        for entry in tuple(self._waiting):
            if entry.fit == first.fit and (not picked or rows + entry.rows <= most):
                picked.append(entry)
                rows += entry.rows
                self._waiting.remove(entry)
        return picked

    def _drop_dead(self) -> None:
        for entry in tuple(self._waiting):
            if entry.ticket is not None and entry.ticket.dead:
                self._waiting.remove(entry)
                self.counts.drop()
                try:
                    entry.ticket.check()
                except Refused as error:
                    entry.future.set_exception(error)

    def _refuse_waiting(self) -> None:
        while self._waiting:
            self._waiting.popleft().future.set_exception(self._refusal())

    def _serve(self, backend: Backend, batch: list[_Entry]) -> None:
        began = time.monotonic_ns()
        try:
            outputs = self._run(backend, batch)
        except Exception as error:
            if not isinstance(error, Mistake):
                log.error("%s: a run of %d failed: %s", self.title, sum(e.rows for e in batch), error)
                self.breaker.bad(_brief(error))
            for entry in batch:
                self.counts.failed(time.monotonic_ns() - int(entry.arrived * 1e9))
                _settle(entry, error if isinstance(error, Mistake) else self._broken(error))
            return
        self.breaker.good()
        ended, now_ms = time.monotonic_ns(), int(time.time() * 1000)
        ends = list(accumulate(entry.rows for entry in batch))
        for entry, end in zip(batch, ends, strict=True):
            self.counts.answered(began - int(entry.arrived * 1e9), ended - began, now_ms)
            part = slice(end - entry.rows, end)
            alone = len(batch) == 1
            entry.future.set_result(outputs if alone else {name: array[part] for name, array in outputs.items()})

    def _run(self, backend: Backend, batch: Sequence[_Entry]) -> Arrays:
        """One run, or several where the memory holds no more at once."""
        rows = sum(entry.rows for entry in batch) if self.max_batch > 1 else 1
        parts: list[Arrays] = []
        done = 0
        while done < rows:
            size = min(self._allowed, batch[0].most, rows - done)
            wanted = [entry.arrays for entry in batch] if size == rows else _rows(batch, done, done + size)
            began = time.monotonic_ns()
            try:
                outputs = _together(backend, wanted)
            except Exception as error:
                if size == 1 or not is_out_of_memory(error):
                    raise
                self._allowed, self._good_runs = size // 2, 0
                self.counts.ran_out_of_memory()
                log.warning("%s: out of memory at a batch of %d; going on with %d", self.title, size, self._allowed)
                continue
            self.counts.ran(size, time.monotonic_ns() - began)
            self._grow()
            parts.append(outputs)
            done += size
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _grow(self) -> None:
        if self._allowed < self.max_batch:
            self._good_runs += 1
            if self._good_runs >= _GROW_AFTER:
                self._allowed, self._good_runs = min(self.max_batch, self._allowed * 2), 0

    def _try_again(self, backend: Backend) -> None:
        try:
            backend.run(self._trial)
        except Exception as error:
            self.breaker.bad(_brief(error))
        else:
            self.breaker.good()
            log.info("%s: works again", self.title)

    def _broken(self, error: Exception) -> Refused:
        if is_out_of_memory(error):
            return Refused(503, f"network {self.title} ran out of memory on this request alone; try a smaller one", 1)
        return Refused(503, f"network {self.title} failed ({_brief(error)}); try again", 1)


def _rows(batch: Sequence[_Entry], first: int, last: int) -> list[Mapping[str, np.ndarray]]:
    """Rows first to last (exclusive) of all that the batch holds, still apart."""
    parts: list[Mapping[str, np.ndarray]] = []
    start = 0
    for entry in batch:
        part = slice(max(0, first - start), max(0, last - start))
        if part.start < min(part.stop, entry.rows):
            parts.append({name: array[part] for name, array in entry.arrays.items()})
        start += entry.rows
    return parts


def _together(backend: Backend, parts: Sequence[Mapping[str, np.ndarray]]) -> Arrays:
    """One run of all parts' rows, which are brought together in the backend's own memory where it lends some."""
    if not isinstance(backend, GpuBackend):
        joined = parts[0] if len(parts) == 1 else {n: np.concatenate([part[n] for part in parts]) for n in parts[0]}
        return backend.run(joined)
    shapes = {n: (sum(len(part[n]) for part in parts), *first.shape[1:]) for n, first in parts[0].items()}
    with backend.lease(shapes) as lease:
        for name, array in lease.inputs.items():
            np.concatenate([part[name] for part in parts], out=array)
        return {name: array.copy() for name, array in lease.run().items()}


def _settle(entry: _Entry, error: BaseException) -> None:
    if not entry.future.done():
        entry.future.set_exception(error)


def _brief(error: BaseException) -> str:
    """The first line of an error, short enough for a sentence."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= 160 else line[:160] + "…"
