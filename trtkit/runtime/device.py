"""One GPU, one owner thread: every CUDA call of this process's runtime is made there, but for a guest's.

Callers post work from any thread (a context that is current in one thread is not in another: NVIDIA/TensorRT#475,
inducer/pycuda#242). The thread keeps what is in flight in order: all networks of a device share one stream for copies
in, one for runs and one for copies out, so jobs finish in the order they were started.

A caller who finds the GPU idle and will wait anyway may be the guest instead: two hand-overs between threads, and two
cores that wake up late, took 75 µs of a run of 1.6 ms (H200), and most of its jitter. There is one guest at most; it
makes its calls while it has the owner's turn, waits without it, and never has a job in flight as the owner has.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from trtkit.errors import Mistake
from trtkit.runtime import process
from trtkit.runtime.cuda_api import Cuda, DeviceLost, Event, Stream

Result = TypeVar("Result")

log = logging.getLogger("trtkit")

_LISTEN = 0.7
"""Share of a lone job's usual time in which new work is listened for."""
_SHORT = 2e-4
"""Seconds: a sleep shorter than this takes about as long."""


class InFlight(Protocol):
    """A started job. `done` is reached when its outputs lie on the host; `expected` is its usual time in seconds."""

    done: Event
    started: float
    expected: float

    def land(self) -> None:
        """Deliver the outputs."""
        ...

    def fail(self, error: BaseException) -> None: ...


class User(Protocol):
    """A backend on a device."""

    def close(self) -> None: ...

    def abandon(self) -> None: ...


@dataclass(frozen=True)
class Streams:
    """The device's three; engines put their work on `run`."""

    copy_in: Stream
    run: Stream
    copy_out: Stream


class Device:
    """A GPU that is open. `acquire` gives the one there is; each backend on it is a user, the last one closes it."""

    streams: Streams

    def __init__(self, ordinal: int, cuda: Cuda) -> None:
        self.ordinal = ordinal
        self.cuda = cuda
        self.lost: str | None = None
        """Why the context is dead, once it is."""
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._flight: deque[InFlight] = deque()
        self._users: list[User] = []
        self._turn = threading.RLock()
        """Held by whoever makes CUDA calls."""
        self._guest = False
        self._thread = threading.Thread(target=self._serve, name=f"trtkit-gpu{ordinal}", daemon=True)
        opened: Future[None] = Future()
        self._opened = opened
        self._thread.start()
        opened.result()
        process.enter(self)

    @property
    def label(self) -> str:
        return f"GPU {self.ordinal} ({self.cuda.name})"

    def call(self, function: Callable[[], Result]) -> Result:
        """Run `function` in the owner thread and wait for its result or exception."""
        if self.is_owner():
            return function()
        answer: Future[Result] = Future()

        def work() -> None:
            try:
                answer.set_result(function())
            except BaseException as error:  # it is raised in the caller
                answer.set_exception(error)

        self._inbox.put(work)
        return answer.result()

    def post(self, function: Callable[[], None]) -> None:
        """Run `function`, which must not raise, in the owner thread, soon. Safe in finalizers."""
        self._inbox.put(function)

    def enter(self) -> bool:
        """Any other thread: be the guest, with the turn and the context, if nothing else is under way; else False.

        What it queues, it queues on `streams.run` alone. `give_turn` and then `leave` end it; `failed` needs the turn.
        """
        if self._flight or self._guest or not self._inbox.empty() or not self._turn.acquire(blocking=False):
            return False
        if self._flight or self._guest or self.lost is not None or not self.cuda.enter():
            self._turn.release()
            return False
        self._guest = True
        return True

    def give_turn(self) -> None:
        """The guest has queued its work and only waits from here on."""
        self._turn.release()

    def leave(self) -> None:
        """The guest is done."""
        self.cuda.leave_guest()
        self._guest = False

    def guest_failed(self, error: BaseException) -> BaseException:
        """`failed`, for a guest without the turn."""
        with self._turn:
            return self.failed(error)

    def is_owner(self) -> bool:
        return threading.current_thread() is self._thread

    def refuse_owner(self) -> None:
        """Raise Mistake in the owner thread, which would wait for itself."""
        if self.is_owner():
            raise Mistake(
                "a network was run from inside a future's callback, in the thread that would have to run it; "
                "hand the work to another thread there"
            )

    def started(self, job: InFlight) -> None:
        """Owner thread: `job` is queued on the GPU."""
        self._flight.append(job)

    def failed(self, error: BaseException) -> BaseException:
        """With the turn: what to raise for `error`. Finds out whether the context is dead, and then ends every job."""
        if self.lost is None:
            reason = self.cuda.drain()
            if reason is None:
                return error
            self._die(reason)
        return self.lost_error()

    def lost_error(self) -> DeviceLost:
        return DeviceLost(
            f"{self.label} is lost to this process ({self.lost}): CUDA refuses everything until it restarts; "
            "restart it, and look for the fault with compute-sanitizer"
        )

    def join(self, user: User) -> None:
        """Under the registry's lock."""
        self._users.append(user)

    def part(self, user: User) -> None:
        """`user` has freed what it held; the last one closes the device."""
        with _lock:
            if user in self._users:
                self._users.remove(user)
            last = not self._users
            # A lost device stays known, so that nobody opens its dead context again.
            if last and self.lost is None and _devices.get(self.ordinal) is self:
                del _devices[self.ordinal]
        if last:
            self._stop()

    def close(self) -> None:
        """At interpreter exit: close every backend on it, then the device itself, whatever is still held."""
        for user in list(self._users):
            user.close()
        self._stop()

    def abandon(self) -> None:
        """In a forked child: whatever the parent holds is never freed here."""
        for user in self._users:
            user.abandon()
        self.cuda.abandon()

    @property
    def busy(self) -> bool:
        """Owner thread: something is in flight."""
        return bool(self._flight)

    def land_all(self) -> None:
        """Owner thread: wait for everything that is in flight."""
        while self._flight:
            self._land_oldest()

    def _stop(self) -> None:
        process.leave(self)
        self._inbox.put(None)
        if not self.is_owner():
            self._thread.join(timeout=0.5 if self.lost else None)

    def _serve(self) -> None:
        try:
            self.cuda.open()
            try:
                self.streams = Streams(self.cuda.stream(), self.cuda.stream(), self.cuda.stream())
            except BaseException:
                self.cuda.close()
                raise
        except BaseException as error:  # it is raised in the caller
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        while (work := self._next()) is not None:
            with self._turn:
                try:
                    work()
                except Exception:  # every network on this GPU needs this thread
                    log.exception("the thread of GPU %d goes on after an error", self.ordinal)
            del work  # it may be all that keeps a result alive, and a result holds its slot
        if self.lost is None:
            self.cuda.close()
        elif not self.cuda.leave():
            threading.Event().wait()  # pycuda aborts the process when a thread ends with a context on its stack

    def _next(self) -> Callable[[], None] | None:
        """The next piece of work; until it comes, whatever is in flight lands as soon as it is done."""
        while self._flight:
            try:
                return self._inbox.get_nowait()
            except queue.Empty:
                pass
            # With two in flight the GPU has its next job already: nothing is lost by not listening meanwhile. A lone
            # job is listened beside, but for its last part: a timer wakes late, and polling here would keep the
            # interpreter's lock from other threads (they would get it every 5 ms). CUDA waits without the lock.
            ahead = self._until_landing() if len(self._flight) == 1 else 0.0
            if ahead > _SHORT:
                with contextlib.suppress(queue.Empty):
                    return self._inbox.get(timeout=ahead)
            with self._turn:
                self._land_oldest()
        return self._inbox.get()

    def _until_landing(self) -> float:
        """Seconds in which the oldest job in flight will hardly be done."""
        try:
            job = self._flight[0]
        except IndexError:  # a guest has found the context dead, and ended every job
            return 0.0
        return job.started + _LISTEN * job.expected - time.perf_counter()

    def _land_oldest(self) -> None:
        """With the turn: wait for the oldest job in flight, if there is one; deliver it, or its failure."""
        if not self._flight:
            return  # a guest has found the context dead since
        job = self._flight[0]
        try:
            self.cuda.synchronize(job.done)
            self._flight.popleft()
            job.land()
        except Exception as error:  # the host's memory may be used up, too: whoever waits has to know
            if self._flight and self._flight[0] is job:
                self._flight.popleft()
            job.fail(self.failed(error))

    def _die(self, reason: str) -> None:
        self.lost = reason
        error = self.lost_error()
        while self._flight:
            self._flight.popleft().fail(error)
        for user in list(self._users):
            user.abandon()
        self.cuda.abandon()


_devices: dict[int, Device] = {}
_lock = threading.Lock()


def acquire(ordinal: int, open_cuda: Callable[[int], Cuda], user: User) -> Device:
    """The open device `ordinal`, opened now if it is not, with `user` on it.

    Raises DeviceLost if its context died earlier in this process, Mistake in a forked child.
    """
    process.check()
    with _lock:
        device = _devices.get(ordinal)
        if device is None:
            device = _devices[ordinal] = Device(ordinal, open_cuda(ordinal))
        elif device.lost is not None:
            raise device.lost_error()
        device.join(user)
        return device
