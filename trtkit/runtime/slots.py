"""Slots: page-locked host arrays, device buffers and events, made once at the largest shapes and used again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from trtkit.runtime.backend import IOTensors
from trtkit.runtime.cuda_api import Cuda, Event
from trtkit.runtime.shapes import Shapes, byte_size, text

STAGES = ("copy in", "run", "copy out")


@dataclass(eq=False)
class Slot:
    """One request's place on host and device. `host` and `device` hold every input and output by name.

    `marks` are timed events around the three stages, there only where stages are measured.
    """

    number: int
    copied_in: Event
    ran: Event
    done: Event
    host: dict[str, np.ndarray] = field(default_factory=dict)
    device: dict[str, int] = field(default_factory=dict)
    marks: dict[str, tuple[Event, Event]] = field(default_factory=dict)

    def view(self, name: str, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """The host array of `name` as it is used for `shape`: memory of the slot, not a copy."""
        return self.host[name][: byte_size(dtype, shape)].view(dtype).reshape(shape)


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of each tensor at its largest, once on the device and once page-locked on the host, a slot."""

    tensors: Mapping[str, int]
    largest: Mapping[str, str]
    slots: int
    workspace: int = 0
    """Device bytes that all slots share: activations, where the backend leaves them to us."""

    @property
    def device_bytes(self) -> int:
        return self.slots * sum(self.tensors.values()) + self.workspace

    @property
    def host_bytes(self) -> int:
        return self.slots * sum(self.tensors.values())

    def sentence(self) -> str:
        each = ", ".join(f"{name} {mib(size)} ({self.largest[name]})" for name, size in self.tensors.items())
        shared = f", and {mib(self.workspace)} of activations for all of them" if self.workspace else ""
        return (
            f"{mib(self.device_bytes)} on the device and {mib(self.host_bytes)} page-locked on the host: "
            f"{self.slots} slots of {each}{shared}"
        )


def plan(tensors: IOTensors, largest: list[Shapes], slots: int, workspace: int = 0) -> MemoryPlan:
    """`largest` holds the maximum shapes, inputs and outputs, of each profile; a buffer fits the greatest of them."""
    sizes: dict[str, int] = {}
    texts: dict[str, str] = {}
    for name, (dtype, _) in tensors.items():
        shape = max((shapes[name] for shapes in largest), key=lambda shape: byte_size(dtype, shape))
        sizes[name] = byte_size(dtype, shape)
        texts[name] = text(shape)
    return MemoryPlan(sizes, texts, slots, workspace)


def make_slot(cuda: Cuda, number: int, sizes: Mapping[str, int]) -> Slot:
    """Raises OutOfMemory, leaving nothing allocated."""
    slot = Slot(number, cuda.event(), cuda.event(), cuda.event())
    try:
        for name, size in sizes.items():
            slot.device[name] = cuda.alloc(size)
            slot.host[name] = cuda.pinned(size)
    except BaseException:
        free_slot(cuda, slot)
        raise
    return slot


def mark(cuda: Cuda, slot: Slot) -> dict[str, tuple[Event, Event]]:
    """The slot's timed events, made when stages are first measured."""
    if not slot.marks:
        slot.marks = {stage: (cuda.event(timed=True), cuda.event(timed=True)) for stage in STAGES}
    return slot.marks


def free_slot(cuda: Cuda, slot: Slot) -> None:
    for address in slot.device.values():
        cuda.free(address)
    for array in slot.host.values():
        cuda.free_pinned(array)
    for event in (slot.copied_in, slot.ran, slot.done, *(mark for pair in slot.marks.values() for mark in pair)):
        cuda.drop(event)
    slot.device.clear()
    slot.host.clear()
    slot.marks.clear()
    slot.copied_in = slot.ran = slot.done = None


def mib(size: int) -> str:
    """1536 → '0.0 MiB', 6291456 → '6.0 MiB'; from 10 GiB on in GiB."""
    return f"{size / 2**20:,.1f} MiB" if size < 10 * 2**30 else f"{size / 2**30:,.1f} GiB"
