"""The few CUDA operations the runtime is made of: the seam between slot scheduling and a real GPU.

pycuda stands behind it (pycuda_api.py). The tests put a named fake there, because the order of copies, runs and
slots has to be proven on machines without a GPU, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from trtkit.errors import MissingComponent, Mistake

Stream = Any
Event = Any
Module = Any
Function = Any


class OutOfMemory(Exception):
    """The device or the page-locked host memory is used up; the context is alive and the process goes on."""


class DeviceTooSmall(Mistake):
    """What was asked for does not fit the GPU's free memory; the message is the memory plan."""


class DeviceLost(MissingComponent):
    """The GPU's context is dead (an illegal address, say): nothing in this process can use that GPU again."""


class Cuda(Protocol):
    """One GPU through its primary context. Every method is called in the owner thread of the device, or in one that
    is its guest (`enter` to `leave_guest`).

    Addresses are device pointers as int; host arrays are flat uint8 and page-locked; copies are asynchronous.
    """

    name: str
    """The GPU's name, e.g. 'NVIDIA H200'."""
    capability: str
    """'9.0'"""

    def open(self) -> None:
        """Retain the primary context and make it current in the calling thread."""
        ...

    def enter(self) -> bool:
        """Make the context current in another thread than the owner's, for a moment; False if that cannot be."""
        ...

    def leave_guest(self) -> None:
        """What `enter` began ends, also if the context died meanwhile."""
        ...

    def close(self) -> None:
        """Leave the calling thread's context stack as it was found, and release the context.

        Memory that was not freed before stays: someone may still look at it.
        """
        ...

    def pinned(self, size: int) -> np.ndarray:
        """Page-locked uint8 [size]. Raises OutOfMemory."""
        ...

    def alloc(self, size: int) -> int:
        """Device memory of `size` bytes. Raises OutOfMemory."""
        ...

    def free_pinned(self, array: np.ndarray) -> None: ...

    def free(self, address: int) -> None: ...

    def memory(self) -> tuple[int, int]:
        """Free and total bytes of the device."""
        ...

    def stream(self) -> Stream: ...

    def handle(self, stream: Stream) -> int:
        """The CUstream as int, for libraries that take one."""
        ...

    def event(self, timed: bool = False) -> Event: ...

    def drop(self, event: Event) -> None:
        """Destroy it, if no one else holds it."""
        ...

    def record(self, event: Event, stream: Stream) -> None: ...

    def wait(self, stream: Stream, event: Event) -> None:
        """Work queued on `stream` from here on starts after `event`."""
        ...

    def synchronize(self, event: Event) -> None: ...

    def milliseconds(self, start: Event, end: Event) -> float:
        """Between two timed events that were reached."""
        ...

    def copy_in(self, address: int, host: np.ndarray, stream: Stream) -> None: ...

    def copy_out(self, host: np.ndarray, address: int, stream: Stream) -> None: ...

    def module(self, image: bytes) -> Module:
        """Compiled kernels (nvrtc.py), loaded. Raises OutOfMemory, CheckFailed where the driver does not take them."""
        ...

    def function(self, module: Module, name: str) -> Function:
        """A kernel of `module`, which lives as long. Raises CheckFailed if it has none of this name."""
        ...

    def launch(
        self,
        function: Function,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[int | np.uintp],
        stream: Stream,
    ) -> None:
        """Queue a kernel. Of its arguments int stands for an int, np.uintp for an address."""
        ...

    def unload(self, module: Module) -> None: ...

    def leave(self) -> bool:
        """Leave the thread's context stack as it was found, of a dead context; False if that cannot be."""
        ...

    def drain(self) -> str | None:
        """Wait for everything queued on the context; None, or why the context is dead."""
        ...

    def abandon(self) -> None:
        """Never free or touch anything again: the context is dead, or belongs to the parent process."""
        ...
