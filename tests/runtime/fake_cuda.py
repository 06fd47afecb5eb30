"""A fake GPU: CUDA's ordering rules on threads of this process, for the slot scheduling on machines without a GPU.

It is asynchronous on purpose (each stream is a thread, each operation waits a random moment), refuses calls from any
thread but the one that opened it and a guest's, and refuses memory that was freed. It says nothing about CUDA itself:
the tests marked `gpu` do.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable

import numpy as np

from trtkit.runtime.cuda_api import OutOfMemory
from trtkit.runtime.engine import Engine
from trtkit.runtime.gpu import Place
from trtkit.runtime.shapes import Shapes, input_profiles
from trtkit.runtime.slots import Slot


class FakeFailure(Exception):
    """What a CUDA call raises."""


class FakeEvent:
    def __init__(self) -> None:
        self.last = threading.Event()
        self.last.set()


class FakeStream:
    def __init__(self, gpu: FakeCuda) -> None:
        self.gpu = gpu
        self.work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        dice = random.Random(0)
        while (work := self.work.get()) is not None:
            if self.gpu.jitter:
                time.sleep(dice.random() * self.gpu.jitter)
            try:
                if self.gpu.dead is None:
                    work()
            except Exception as error:
                self.gpu.dead = str(error)


class FakeCuda:
    """See Cuda. `room` is the device's bytes."""

    name, capability = "Fake GPU", "9.9"

    def __init__(self, room: int = 1 << 20, jitter: float = 0.0) -> None:
        self.room, self.jitter = room, jitter
        self.dead: str | None = None
        self.owner: int | None = None
        self.guest: int | None = None
        self.guests = 0
        self.memory_of: dict[int, np.ndarray] = {}
        self.pinned_now: list[np.ndarray] = []
        self.streams: list[FakeStream] = []
        self.events: list[FakeEvent] = []
        self.opened = self.closed = 0
        self.abandoned = False
        self._next_address = 4096

    def check(self) -> None:
        assert threading.get_ident() in (self.owner, self.guest), "a CUDA call outside the owner thread"
        if self.dead is not None:
            raise FakeFailure(self.dead)

    def open(self) -> None:
        self.owner = threading.get_ident()
        self.opened += 1

    def enter(self) -> bool:
        assert self.guest is None, "two guests at once"
        self.guest = threading.get_ident()
        self.guests += 1
        return True

    def leave_guest(self) -> None:
        assert self.guest == threading.get_ident()
        self.guest = None

    def close(self) -> None:
        self.check()
        self.closed += 1
        for stream in self.streams:
            stream.work.put(None)

    def pinned(self, size: int) -> np.ndarray:
        self.check()
        self.pinned_now.append(np.zeros(size, np.uint8))
        return self.pinned_now[-1]

    def alloc(self, size: int) -> int:
        self.check()
        if sum(block.size for block in self.memory_of.values()) + size > self.room:
            raise OutOfMemory("cuMemAlloc failed: out of memory")
        address = self._next_address
        self._next_address += (size + 255) // 256 * 256
        self.memory_of[address] = np.zeros(size, np.uint8)
        return address

    def free_pinned(self, array: np.ndarray) -> None:
        self.check()
        self.pinned_now = [kept for kept in self.pinned_now if kept is not array]

    def free(self, address: int) -> None:
        self.check()
        del self.memory_of[address]

    def memory(self) -> tuple[int, int]:
        self.check()
        return self.room - sum(block.size for block in self.memory_of.values()), self.room

    def stream(self) -> FakeStream:
        self.check()
        self.streams.append(FakeStream(self))
        return self.streams[-1]

    def handle(self, stream: FakeStream) -> int:
        return id(stream)

    def event(self, timed: bool = False) -> FakeEvent:
        self.check()
        self.events.append(FakeEvent())
        return self.events[-1]

    def drop(self, event: FakeEvent) -> None:
        self.check()
        self.events.remove(event)

    def record(self, event: FakeEvent, stream: FakeStream) -> None:
        self.check()
        event.last = threading.Event()
        stream.work.put(event.last.set)

    def wait(self, stream: FakeStream, event: FakeEvent) -> None:
        self.check()
        reached = event.last
        stream.work.put(lambda: self._until(reached))

    def synchronize(self, event: FakeEvent) -> None:
        self.check()
        self._until(event.last)
        self.check()

    def _until(self, reached: threading.Event) -> None:
        while not reached.wait(0.01) and self.dead is None:
            pass

    def milliseconds(self, start: FakeEvent, end: FakeEvent) -> float:
        return 1.0

    def copy_in(self, address: int, host: np.ndarray, stream: FakeStream) -> None:
        self.launch(stream, lambda: self.bytes_at(address, host.size).__setitem__(slice(None), host))

    def copy_out(self, host: np.ndarray, address: int, stream: FakeStream) -> None:
        self.launch(stream, lambda: host.__setitem__(slice(None), self.bytes_at(address, host.size)))

    def launch(self, stream: FakeStream, work: Callable[[], None]) -> None:
        self.check()
        stream.work.put(work)

    def bytes_at(self, address: int, size: int) -> np.ndarray:
        if address not in self.memory_of:
            raise FakeFailure("an illegal memory access was encountered")
        return self.memory_of[address][:size]

    def leave(self) -> bool:
        return True

    def drain(self) -> str | None:
        assert threading.get_ident() in (self.owner, self.guest)
        for stream in self.streams:
            reached = threading.Event()
            stream.work.put(reached.set)
            self._until(reached)
        return self.dead

    def abandon(self) -> None:
        self.abandoned = True


class FakeEngine(Engine):
    """The network 'inverted = 255 - image' for uint8 [N, W], N up to 4, W up to 64, on a FakeCuda.

    `raise_on` raises when a row starts with that value; `poison_on` makes the GPU fail while it runs; `guests` lets
    callers run it in their own threads.
    """

    def __init__(
        self,
        place: Place,
        raise_on: int | None = None,
        poison_on: int | None = None,
        most: int = 4,
        guests: bool = False,
    ) -> None:
        self.guests = guests
        self.workspace = 0
        self.what, self.library, self.notes = "the fake network", "Fake 1.0", []
        shape = (None, None)
        self.inputs = {"image": (np.dtype(np.uint8), shape)}
        self.outputs = {"inverted": (np.dtype(np.uint8), shape)}
        self.profiles = [_profile(most)]
        self.place, self.raise_on, self.poison_on = place, raise_on, poison_on
        self.attached: set[int] = set()
        self.closed = self.abandoned = False
        self.running = 0

    def output_shapes(self, shapes: Shapes) -> Shapes:
        return {"inverted": shapes["image"]}

    def attach(self, slot: Slot) -> None:
        self.attached.add(slot.number)

    def anywhere(self, slot: Slot, shapes: Shapes) -> bool:
        return self.guests

    def enqueue(self, slot: Slot, shapes: Shapes) -> None:
        cuda: FakeCuda = self.place.cuda  # type: ignore[assignment]
        size = int(np.prod(shapes["image"]))
        source, target = slot.device["image"], slot.device["inverted"]
        if self.raise_on is not None and slot.host["image"][0] == self.raise_on:
            raise RuntimeError("the library refused")

        def kernel() -> None:
            image = cuda.bytes_at(source, size)
            if self.poison_on is not None and image[0] == self.poison_on:
                raise FakeFailure("an illegal memory access was encountered")
            assert self.running == 0, "two runs at once on one stream"
            self.running += 1
            cuda.bytes_at(target, size)[:] = 255 - image
            self.running -= 1

        cuda.launch(self.place.stream, kernel)

    def round_trip(self, slot: Slot, shapes: Shapes) -> bool:
        return False

    def detach(self, slot: Slot) -> None:
        self.attached.remove(slot.number)

    def close(self) -> None:
        assert not self.attached, "closed before its slots"
        self.closed = True

    def abandon(self) -> None:
        self.abandoned = True


def _profile(most: int) -> dict:
    from trtkit.config import ShapeRange

    profile = {"image": ShapeRange(min=[1, 1], opt=[1, 8], max=[most, 64])}
    return input_profiles({"image": (np.dtype(np.uint8), (None, None))}, [profile], "the fake network")[0]
