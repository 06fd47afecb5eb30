"""A network on a GPU, behind the same face as on the CPU: slots, jobs, and results that are never overwritten.

Each request takes a slot, is copied in on one stream, run on a second and copied out on a third; events alone order
them, so the copies of one slot and the run of another overlap. A slot is free again when its result has been copied
off it, or when the last view of it is gone. A caller who waits for his result and finds the GPU idle runs it in his
own thread (Device.enter).
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from trtkit.errors import CheckFailed, Mistake, TrtkitError
from trtkit.runtime import process
from trtkit.runtime.backend import Arrays, check_inputs
from trtkit.runtime.cuda_api import Cuda, DeviceTooSmall, Event, OutOfMemory, Stream
from trtkit.runtime.device import Device, acquire
from trtkit.runtime.engine import Engine
from trtkit.runtime.shapes import Shapes, byte_size, largest_shapes, profile_of
from trtkit.runtime.slots import MemoryPlan, Slot, free_slot, make_slot, mark, mib, plan

DEFAULT_SLOTS = 3
"""One being copied in, one running, one being copied out."""
_MOST_TIMES = 4096
"""Sets of shapes whose usual times are kept."""
_EARLY, _NAP = 0.9, 5e-4
"""A caller is woken at this share of a job's usual time, if that is longer than so many seconds."""
_LONG, _DOZE = 1e-2, 0.7
"""A guest sleeps for this share of a job's usual time, if that is longer than so many seconds; CUDA's own wait keeps a
core busy, and a core that slept is slow for some 30 µs."""


@dataclass(frozen=True)
class Place:
    """Where an engine is opened: called in the owner thread with the context current."""

    cuda: Cuda
    ordinal: int
    stream: Stream


Wanted = Literal["copies", "views", "slot", "lease"]
"""What a job's future gives: copied arrays, views that hold the slot, the slot itself, or a lease's own outputs."""


@dataclass(eq=False)
class Job:
    """One request. `arrays` is None once they lie in the slot."""

    network: GpuBackend
    shapes: Shapes
    outputs: Shapes
    wanted: Wanted
    arrays: Mapping[str, np.ndarray] | None
    future: Future[Any] = field(default_factory=Future)
    slot: Slot | None = None
    held: tuple[Arrays, Arrays] | None = None
    """A lease's inputs and outputs: they keep its slot, should it be released during the run."""
    done: Event = None
    marked: bool = False
    started: float = 0.0
    expected: float = 0.0

    def land(self) -> None:
        self.network._landed(self)

    def fail(self, error: BaseException) -> None:
        self.network._failed(self, error)


class GpuBackend:
    """See Backend. Opening raises DeviceTooSmall with the memory plan, DeviceLost, or what `open_engine` raises."""

    on_stages: Callable[[dict[str, float]], None] | None = None
    """While set, called in the owner thread with the milliseconds of STAGES of every job; the marks cost a little."""

    def __init__(
        self,
        name: str,
        ordinal: int,
        open_cuda: Callable[[int], Cuda],
        open_engine: Callable[[Place], Engine],
        slots: int = DEFAULT_SLOTS,
    ) -> None:
        if slots < 1:
            raise Mistake(f"slots is {slots}; at least 1 is needed")
        self.name = name
        self._closed = False
        self._free: deque[Slot] = deque()
        self._waiting: deque[Callable[[Slot | None], None]] = deque()
        self._slots: list[Slot] = []
        self._usual: dict[tuple, float] = {}
        self._warming = threading.Lock()
        self._engine: Engine | None = None
        self._device: Device = acquire(ordinal, open_cuda, self)
        try:
            self._device.call(lambda: self._open(open_engine, slots))
        except BaseException as error:
            give_up = functools.partial(self._not_opened, error)
            try:
                told = self._device.call(give_up)
            finally:
                self._device.part(self)
            if told is error:
                raise
            raise told from error
        engine = self._network
        self.inputs, self.outputs = engine.inputs, engine.outputs
        self.profiles = engine.profiles
        self.notes = engine.notes
        self.device = f"{self._device.label}, {engine.library}, {slots} slot{'s' if slots > 1 else ''}"

    @property
    def lost(self) -> str | None:
        """Why the GPU's context is dead, None while it lives."""
        return self._device.lost

    @property
    def slots(self) -> int:
        return len(self._slots)

    @property
    def free_slots(self) -> int:
        """Slots nobody uses or holds a view of at this moment."""
        return len(self._free)

    def run(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """Run once and wait. The result is the caller's own."""
        shapes, outputs = self._checked(arrays)
        slot = self._take()
        if slot is not None:
            self._fill(slot, arrays)
            if self._alone(slot, shapes, outputs):
                try:
                    return {name: self._output(slot, name, shape).copy() for name, shape in outputs.items()}
                finally:
                    self._give_back(slot)
        job = self._post(Job(self, shapes, outputs, "slot", arrays), slot)
        try:
            slot = self._await(job)
        except BaseException:
            # Interrupted while it waits: the slot comes back when the job lands.
            job.future.cancel()
            job.future.add_done_callback(self._give_back_unclaimed)
            raise
        try:
            return {name: self._output(slot, name, shape).copy() for name, shape in job.outputs.items()}
        finally:
            self._give_back(slot)

    def submit(self, arrays: Mapping[str, np.ndarray], copy: bool = True) -> Future[Arrays]:
        """Queue one run. `arrays` must not change until the future is done.

        With `copy=False` the result is views of the slot's page-locked memory. They, and every slice of them, are
        valid for ever and never overwritten; the slot is not used again until the last of them is gone.
        """
        return self._submit(arrays, "copies" if copy else "views").future

    def lease(self, shapes: Mapping[str, tuple[int, ...]]) -> Lease:
        """A slot to fill in place and read in place: no copy on the host at all. Waits for a free slot."""
        self._check_open()
        wanted = {name: tuple(shape) for name, shape in shapes.items()}
        nothing = {name: np.empty((), self.inputs[name][0] if name in self.inputs else np.uint8) for name in wanted}
        check_inputs(self.inputs, {name: np.broadcast_to(nothing[name], shape) for name, shape in wanted.items()})
        wanted = {name: wanted[name] for name in self.inputs}  # engines know a set of shapes by their order
        profile_of(self._network.profiles, wanted)
        granted: Future[Slot] = Future()

        def grant(slot: Slot | None) -> None:
            if not granted.set_running_or_notify_cancel():
                self._give_back(slot)
            elif slot is None:
                granted.set_exception(self._gone())
            else:
                granted.set_result(slot)

        slot = self._take()
        if slot is None:
            self._queue(grant)
            try:
                slot = granted.result()
            except BaseException:
                if not granted.cancel():
                    granted.add_done_callback(self._give_back_unclaimed)
                raise
        return Lease(self, slot, wanted, self._network.output_shapes(wanted))

    def warm_up(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Run `shapes` on every slot until nothing is left to be tuned or captured, on noise."""
        noise = np.random.default_rng(0)
        with self._warming:  # two at once would each hold what the other waits for
            leases = [self.lease(shapes) for _ in self._slots]
            for lease in leases:
                for array in lease.inputs.values():
                    array[...] = noise.integers(0, 100, array.shape).astype(array.dtype)
                for _ in range(3):
                    lease.run()

    def time_alone(self, shapes: Mapping[str, tuple[int, ...]], times: int) -> list[float]:
        """Seconds of each of `times` runs on what already lies on the device: no copies, one at a time."""
        lease = self.lease(shapes)
        slot, wanted, device = lease._slot, lease._shapes, self._device
        seconds: list[float] = []

        def work() -> None:
            device.land_all()
            for _ in range(times):
                began = time.perf_counter()
                self._network.enqueue(slot, wanted)
                device.cuda.record(slot.done, device.streams.run)
                device.cuda.synchronize(slot.done)
                seconds.append(time.perf_counter() - began)

        device.call(work)
        return seconds

    def trim(self) -> None:
        """See Backend: there is nothing to give back, the slots never grow."""

    def close(self) -> None:
        """Finish what is queued, then free everything. Slots whose views are still held are freed with them.

        In a forked child it does nothing: all of it is the parent's.
        """
        if self._closed or process.inherited():
            return
        self._closed = True
        if self._device.lost is not None:
            self._end_waiting()
            self._device.part(self)
            return
        self._device.call(self._finish)

    def abandon(self) -> None:
        """See Engine.abandon; everyone who waits gets the error."""
        if self._engine is not None:
            self._engine.abandon()
        if self._device.lost is not None:
            self._end_waiting()

    def __enter__(self) -> GpuBackend:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- callers' threads

    @property
    def _network(self) -> Engine:
        if self._engine is None:
            raise Mistake(f"{self.name} backend is closed; load the network again")
        return self._engine

    def _check_open(self) -> None:
        process.check()
        self._device.refuse_owner()
        if self._closed:
            raise Mistake(f"{self.name} backend is closed; load the network again")
        if self._device.lost is not None:
            raise self._device.lost_error()

    def _submit(self, arrays: Mapping[str, np.ndarray], wanted: Wanted) -> Job:
        job = Job(self, *self._checked(arrays), wanted, arrays)
        slot = self._take()
        if slot is not None:
            self._fill(slot, arrays)
        return self._post(job, slot)

    def _checked(self, arrays: Mapping[str, np.ndarray]) -> tuple[Shapes, Shapes]:
        """Shapes of the inputs and outputs, the arrays being what the network takes."""
        self._check_open()
        check_inputs(self.inputs, arrays)
        shapes = {name: arrays[name].shape for name in self.inputs}
        profile_of(self._network.profiles, shapes)
        return shapes, self._network.output_shapes(shapes)

    def _post(self, job: Job, slot: Slot | None) -> Job:
        """To the owner, with a slot that is filled: the caller's core did the copying; else when one is free."""
        if slot is None:
            self._queue(lambda slot: self._begin(job, slot))
        else:
            job.arrays = None
            self._device.post(lambda: self._begin(job, slot))
        return job

    def _alone(self, slot: Slot, shapes: Shapes, outputs: Shapes, held: tuple[Arrays, Arrays] | None = None) -> bool:
        """Run the filled slot to its end in this thread, as the device's guest; False if the owner has to.

        Raises what a future would have given; the slot is back then, unless it is a lease's (`held`: see Job).
        """
        device, key = self._device, tuple(shapes.values())
        if self.on_stages is not None or not self._network.anywhere(slot, shapes) or not device.enter():
            return False
        try:
            try:
                self._enqueue_on_one(slot, shapes, outputs)
            finally:
                device.give_turn()
            began = time.perf_counter()
            usual = self._usual.get(key, 0.0)
            if usual > _LONG:
                time.sleep(_DOZE * usual)
            device.cuda.synchronize(slot.done)
            self._note_time(key, time.perf_counter() - began)
        except Exception as error:
            told = self._told(device.guest_failed(error))
            if held is None:
                self._give_back(slot)
            raise told from None
        except BaseException:
            # Interrupted while it waits: the GPU still works on the slot, and the owner gives it back after that.
            device.post(lambda: self._come_back(slot, held))
            raise
        finally:
            device.leave()
        return True

    def _await(self, job: Job) -> Any:
        usual = self._usual.get(tuple(job.shapes.values()), 0.0)
        if usual > _NAP:
            # A core that slept for milliseconds wakes late, one that slept for a moment does not: wake it beforehand.
            with contextlib.suppress(TimeoutError):
                return job.future.result(_EARLY * usual)
        return job.future.result()

    def _take(self) -> Slot | None:
        if self._waiting:
            return None  # first come, first served
        try:
            return self._free.pop()  # the one used last: its memory is still in the cache
        except IndexError:
            return None

    def _queue(self, grant: Callable[[Slot | None], None]) -> None:
        self._waiting.append(grant)
        self._device.post(self._pump)
        if self._engine is None or self._device.lost is not None:  # since the caller asked; the owner may have ended
            self._end_waiting()

    def _fill(self, slot: Slot, arrays: Mapping[str, np.ndarray]) -> None:
        for name in self.inputs:
            array = arrays[name]
            np.copyto(slot.view(name, array.dtype, array.shape), array)

    def _output(self, slot: Slot, name: str, shape: tuple[int, ...]) -> np.ndarray:
        return slot.view(name, self.outputs[name][0], shape)

    def _give_back(self, slot: Slot | None) -> None:
        """From any thread, finalizers included."""
        if slot is None:
            return
        self._free.append(slot)
        if self._waiting or self._closed:
            self._device.post(self._pump)

    def _give_back_unclaimed(self, future: Future[Slot]) -> None:
        if not future.cancelled() and future.exception() is None:
            self._give_back(future.result())

    def _gone(self) -> TrtkitError:
        if self._device.lost is not None:
            return self._device.lost_error()
        return Mistake(f"{self.name} backend was closed while the request waited; load the network again")

    def _held_views(self, slot: Slot, tensors: Mapping[str, tuple[np.dtype, tuple[int, ...]]]) -> Arrays:
        """Arrays over the slot's memory; when the last of them and of their slices is gone, the slot comes back."""
        tokens = deque(range(len(tensors) - 1))
        views: Arrays = {}
        for name, (dtype, shape) in tensors.items():
            flat = slot.view(name, dtype, shape).reshape(-1).view(np.uint8)
            # NumPy points a slice's base at the outermost array that has no array under it: this one.
            root = np.frombuffer(flat.data, dtype)
            weakref.finalize(root, _spend, tokens, weakref.ref(self), slot).atexit = False
            views[name] = root.reshape(shape)
        return views

    # --- the owner thread

    def _open(self, open_engine: Callable[[Place], Engine], count: int) -> None:
        cuda = self._device.cuda
        free, total = cuda.memory()
        memory: MemoryPlan | None = None
        try:
            engine = open_engine(Place(cuda, self._device.ordinal, self._device.streams.run))
            self._engine = engine
            largest = [shapes | engine.output_shapes(shapes) for shapes in largest_shapes(engine.profiles)]
            memory = plan({**engine.inputs, **engine.outputs}, largest, count, engine.workspace)
            for number in range(count):
                slot = make_slot(cuda, number, memory.tensors)
                self._slots.append(slot)
                engine.attach(slot)
        except OutOfMemory as error:
            raise self._too_small(memory, free, total) from error
        self.memory = memory
        self._free.extend(self._slots)

    def _too_small(self, memory: MemoryPlan | None, free: int, total: int) -> DeviceTooSmall:
        needs = f"the buffers need {memory.sentence()}" if memory else "the network itself does not fit"
        return DeviceTooSmall(
            f"{self._device.label} has {mib(free)} of {mib(total)} free, and {needs}; "
            "use fewer slots, a smaller profile in engines.yaml, or stop what else uses the GPU (nvidia-smi)"
        )

    def _not_opened(self, error: BaseException) -> BaseException:
        """Free what was made until `error`; what to raise for it."""
        found = self._device.failed(error)
        with contextlib.suppress(Exception):  # what went wrong first is what has to be said
            self._free_everything()
        if isinstance(found, TrtkitError) or not isinstance(found, Exception):
            return found
        return CheckFailed(f"the {self.name} backend did not open on {self._device.label}: {_words(found)}")

    def _pump(self) -> None:
        """Give free slots to those who wait; free them once the backend is closed."""
        while self._waiting:
            try:
                slot = self._free.pop()
            except IndexError:
                break
            self._waiting.popleft()(slot)
        if self._closed:
            self._finish_slots()

    def _begin(self, job: Job, slot: Slot | None) -> None:
        if job.held is None and not job.future.set_running_or_notify_cancel():
            self._give_back(slot)
            return
        if slot is None or self._device.lost is not None:
            job.slot = slot
            self._failed(job, self._gone())
            return
        job.slot = slot
        try:
            if job.arrays is not None:
                self._fill(slot, job.arrays)
                job.arrays = None
            self._enqueue(job, slot)
        except Exception as error:
            self._failed(job, self._device.failed(error))
            return
        self._device.started(job)

    def _enqueue(self, job: Job, slot: Slot) -> None:
        cuda, streams = self._device.cuda, self._device.streams
        marks = mark(cuda, slot) if self.on_stages is not None else {}
        if marks:
            cuda.record(marks["copy in"][0], streams.copy_in)
        for name, shape in job.shapes.items():
            cuda.copy_in(slot.device[name], self._bytes(slot, name, self.inputs[name][0], shape), streams.copy_in)
        if marks:
            cuda.record(marks["copy in"][1], streams.copy_in)
        cuda.record(slot.copied_in, streams.copy_in)
        cuda.wait(streams.run, slot.copied_in)
        if marks:
            cuda.record(marks["run"][0], streams.run)
        self._network.enqueue(slot, job.shapes)
        if marks:
            cuda.record(marks["run"][1], streams.run)
        cuda.record(slot.ran, streams.run)
        cuda.wait(streams.copy_out, slot.ran)
        if marks:
            cuda.record(marks["copy out"][0], streams.copy_out)
        for name, shape in job.outputs.items():
            cuda.copy_out(self._bytes(slot, name, self.outputs[name][0], shape), slot.device[name], streams.copy_out)
        if marks:
            cuda.record(marks["copy out"][1], streams.copy_out)
        cuda.record(slot.done, streams.copy_out)
        job.done, job.marked = slot.done, bool(marks)
        job.started = time.perf_counter()
        job.expected = self._usual.get(tuple(job.shapes.values()), 0.0)

    def _enqueue_on_one(self, slot: Slot, shapes: Shapes, outputs: Shapes) -> None:
        """A guest's job: with nothing to overlap with, one stream orders everything."""
        cuda, stream = self._device.cuda, self._device.streams.run
        if not self._network.round_trip(slot, shapes):
            for name, shape in shapes.items():
                cuda.copy_in(slot.device[name], self._bytes(slot, name, self.inputs[name][0], shape), stream)
            self._network.enqueue(slot, shapes)
            for name, shape in outputs.items():
                cuda.copy_out(self._bytes(slot, name, self.outputs[name][0], shape), slot.device[name], stream)
        cuda.record(slot.done, stream)

    def _come_back(self, slot: Slot, held: tuple[Arrays, Arrays] | None) -> None:
        """Owner thread: give back the slot of a guest that was interrupted; a lease's comes back with what is held."""
        self._device.failed(RuntimeError("interrupted"))  # waits for the GPU, and finds out whether it lives
        if held is None:
            self._give_back(slot)

    def _bytes(self, slot: Slot, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        return slot.host[name][: byte_size(dtype, shape)]

    def _landed(self, job: Job) -> None:
        slot = job.slot
        assert slot is not None
        self._note_time(tuple(job.shapes.values()), time.perf_counter() - job.started)
        if job.marked and self.on_stages is not None:
            cuda = self._device.cuda
            self.on_stages({stage: cuda.milliseconds(*pair) for stage, pair in slot.marks.items()})
        if job.wanted == "copies":
            result: Any = {name: self._output(slot, name, shape).copy() for name, shape in job.outputs.items()}
            self._give_back(slot)
        elif job.wanted == "views":
            result = self._held_views(
                slot, {name: (self.outputs[name][0], shape) for name, shape in job.outputs.items()}
            )
        elif job.held is not None:
            result = job.held[1]
        else:
            result = slot
        _settle(job.future, result, None)

    def _note_time(self, key: tuple, spent: float) -> None:
        if len(self._usual) > _MOST_TIMES:
            self._usual.clear()
        self._usual[key] = min(spent, self._usual.get(key, spent) * 1.05)

    def _failed(self, job: Job, error: BaseException) -> None:
        if job.wanted != "lease":
            self._give_back(job.slot)
        job.slot = None
        _settle(job.future, None, self._told(error))

    def _told(self, error: BaseException) -> BaseException:
        if isinstance(error, TrtkitError):
            return error
        if isinstance(error, OutOfMemory):
            free, total = self._device.cuda.memory()
            return DeviceTooSmall(
                f"{self._device.label} ran out of memory in a run ({mib(free)} of {mib(total)} free), beside "
                f"{self.memory.sentence() if self.memory else 'its buffers'}; use a smaller batch or fewer slots"
            )
        return CheckFailed(f"{self._network.what} failed on {self._device.label}: {_words(error)}")

    def _end_waiting(self) -> None:
        with contextlib.suppress(IndexError):  # a caller who came too late ends them, too
            while True:
                self._waiting.popleft()(None)

    def _finish(self) -> None:
        """Run what is queued to its end, then free."""
        while True:
            self._device.land_all()
            self._pump()
            if not self._device.busy:
                return

    def _finish_slots(self) -> None:
        """Closed: free what is free; with the last slot go the engine and this backend's place on the device."""
        if self._device.lost is not None or self._engine is None:
            return
        while True:
            try:
                slot = self._free.popleft()
            except IndexError:  # a caller may take the last one at this moment; it comes back
                break
            self._engine.detach(slot)
            free_slot(self._device.cuda, slot)
            self._slots.remove(slot)
        if not self._slots:
            self._free_everything()
            self._device.part(self)

    def _free_everything(self) -> None:
        if self._device.lost is not None:
            return
        for slot in self._slots:
            if self._engine is not None:
                self._engine.detach(slot)
            free_slot(self._device.cuda, slot)
        self._slots.clear()
        self._free.clear()
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self._end_waiting()


class Lease:
    """A slot in one caller's hands: fill `inputs`, run, read `outputs`, as often as wanted.

    All of them are the slot's own page-locked memory; each run overwrites `outputs`. The slot comes back when the
    lease is released (or dropped) and the last of these arrays, and of their slices, is gone.
    """

    def __init__(self, backend: GpuBackend, slot: Slot, shapes: Shapes, outputs: Shapes) -> None:
        self._backend, self._slot, self._shapes, self._out = backend, slot, shapes, outputs
        tensors = {name: (backend.inputs[name][0], shape) for name, shape in shapes.items()}
        tensors |= {name: (backend.outputs[name][0], shape) for name, shape in outputs.items()}
        views = backend._held_views(slot, tensors)
        self.inputs: Arrays = {name: views[name] for name in shapes}
        self.outputs: Arrays = {name: views[name] for name in outputs}

    def submit(self) -> Future[Arrays]:
        """Queue one run of what `inputs` hold; do not touch them until the future gives `outputs`."""
        self._check()
        return self._start().future

    def run(self) -> Arrays:
        self._check()
        outputs = self.outputs
        if self._backend._alone(self._slot, self._shapes, self._out, (self.inputs, outputs)):
            return outputs
        found: Arrays = self._backend._await(self._start())
        return found

    def _check(self) -> None:
        self._backend._check_open()
        if not self.outputs:
            raise Mistake("the lease was released; take another one")

    def _start(self) -> Job:
        job = Job(self._backend, self._shapes, self._out, "lease", None, held=(self.inputs, self.outputs))
        job.future.set_running_or_notify_cancel()
        return self._backend._post(job, self._slot)

    def release(self) -> None:
        """Let go of the arrays; the slot is used again once nobody else holds one, a run under way included."""
        self.inputs, self.outputs = {}, {}

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def _spend(tokens: deque[int], backend: weakref.ref[GpuBackend], slot: Slot) -> None:
    """One view is gone. There is a token for each view but one: who finds none left was the last."""
    try:
        tokens.pop()
    except IndexError:
        owner = backend()
        if owner is not None:
            owner._give_back(slot)


def _words(error: BaseException) -> str:
    """What it says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _settle(future: Future[Any], result: Any, error: BaseException | None) -> None:
    """Set a future; what its callbacks raise beyond Exception (concurrent.futures logs those) ends here, too."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    except BaseException:  # a SystemExit in a callback must not end the owner thread
        import logging

        logging.getLogger("trtkit").exception("a callback of a finished run raised")
