"""The CUDA seam on pycuda: the primary context, never pycuda.autoinit.

autoinit makes a context of its own, in which neither PyTorch's nor ONNX Runtime's nor TensorRT's pointers are valid
(NVIDIA/TensorRT#475, inducer/pycuda#242), and which is only current in the thread that imported it. pycuda's objects
free themselves in whatever thread drops them; here everything is freed by the owner thread, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from trtkit.errors import CheckFailed, MissingComponent
from trtkit.optional import installed, need
from trtkit.runtime.cuda_api import DeviceTooSmall, Event, Function, Module, OutOfMemory, Stream
from trtkit.runtime.process import immortalise

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: no hidden order with the legacy default stream, which others may use


class PyCuda:
    """See Cuda. `ordinal` counts GPUs in CUDA's order. Raises MissingComponent if pycuda or the GPU is not there."""

    def __init__(self, ordinal: int) -> None:
        self._drv = driver()
        count = self._drv.Device.count()
        if ordinal >= count:
            have = "no NVIDIA GPU" if count == 0 else f"{count} GPU{'s' if count > 1 else ''}, numbered from 0"
            raise MissingComponent(f"--device {ordinal} does not exist: this machine has {have}")
        self._ordinal = ordinal
        self._device = self._drv.Device(ordinal)
        self.name: str = self._device.name()
        self.capability = "{}.{}".format(*self._device.compute_capability())
        self._context: Any = None
        self._bindings: Any = None
        self._current: Any = None
        self._allocations: dict[int, Any] = {}
        self._pinned: dict[int, Any] = {}
        self._held: dict[int, Any] = {}

    def open(self) -> None:
        try:
            self._context = self._device.retain_primary_context()
            self._context.push()
        except self._drv.MemoryError as error:
            raise DeviceTooSmall(
                f"GPU {self._ordinal} ({self.name}) has no room left for a CUDA context; stop what else uses the GPU "
                "(nvidia-smi), or take another one (--device)"
            ) from error
        except self._drv.Error as error:
            raise MissingComponent(
                f"GPU {self._ordinal} ({self.name}) gives this process no CUDA context ({error}); nvidia-smi shows "
                "whether another process has it to itself (compute mode E. Process)"
            ) from error
        if installed("cuda.bindings.driver"):
            self._bindings = need("cuda.bindings.driver", "running a network on a GPU")
            self._current = self._bindings.cuCtxGetCurrent()[1]

    def enter(self) -> bool:
        # Not by pycuda: it keeps a stack of its own for each thread, and aborts the process when a thread ends with a
        # dead context on it.
        return self._current is not None and int(self._bindings.cuCtxPushCurrent(self._current)[0]) == 0

    def leave_guest(self) -> None:
        self._bindings.cuCtxPopCurrent()

    def close(self) -> None:
        for kept in (*self._pinned.values(), *self._allocations.values()):
            immortalise(kept)
        self._held.clear()  # streams and events end while their context is current
        self._context.pop()
        self._context.detach()
        self._context = None

    def pinned(self, size: int) -> np.ndarray:
        try:
            array: np.ndarray = self._drv.pagelocked_empty(size, np.uint8)
        except self._drv.MemoryError as error:
            raise OutOfMemory(str(error)) from error
        self._pinned[id(array)] = array
        return array

    def alloc(self, size: int) -> int:
        try:
            allocation = self._drv.mem_alloc(size)
        except self._drv.MemoryError as error:
            raise OutOfMemory(str(error)) from error
        self._allocations[int(allocation)] = allocation
        return int(allocation)

    def free_pinned(self, array: np.ndarray) -> None:
        del self._pinned[id(array)]
        array.base.free()  # type: ignore[union-attr]

    def free(self, address: int) -> None:
        self._allocations.pop(address).free()

    def memory(self) -> tuple[int, int]:
        free, total = self._drv.mem_get_info()
        return int(free), int(total)

    def stream(self) -> Stream:
        stream = self._drv.Stream(_NON_BLOCKING)
        self._held[id(stream)] = stream
        return stream

    def handle(self, stream: Stream) -> int:
        return int(stream.handle)

    def event(self, timed: bool = False) -> Event:
        event = self._drv.Event(0 if timed else self._drv.event_flags.DISABLE_TIMING)
        self._held[id(event)] = event
        return event

    def drop(self, event: Event) -> None:
        self._held.pop(id(event), None)

    def record(self, event: Event, stream: Stream) -> None:
        event.record(stream)

    def wait(self, stream: Stream, event: Event) -> None:
        stream.wait_for_event(event)

    def synchronize(self, event: Event) -> None:
        event.synchronize()

    def milliseconds(self, start: Event, end: Event) -> float:
        return float(end.time_since(start))

    def copy_in(self, address: int, host: np.ndarray, stream: Stream) -> None:
        self._drv.memcpy_htod_async(address, host, stream)

    def copy_out(self, host: np.ndarray, address: int, stream: Stream) -> None:
        self._drv.memcpy_dtoh_async(host, address, stream)

    def module(self, image: bytes) -> Module:
        try:
            module = self._drv.module_from_buffer(image)
        except self._drv.MemoryError as error:
            raise OutOfMemory(str(error)) from error
        except self._drv.Error as error:
            # Compiled for another major version of CUDA than the driver's, mostly.
            raise CheckFailed(f"the driver does not load compiled kernels ({error})") from error
        self._held[id(module)] = module
        return module

    def function(self, module: Module, name: str) -> Function:
        try:
            return module.get_function(name)
        except self._drv.Error as error:
            raise CheckFailed(f"the compiled kernels have no '{name}' ({error})") from error

    def launch(
        self,
        function: Function,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[int | np.uintp],
        stream: Stream,
    ) -> None:
        packed = [one if isinstance(one, np.uintp) else np.int32(one) for one in arguments]
        function(*packed, grid=grid, block=block, stream=stream)

    def unload(self, module: Module) -> None:
        self._held.pop(id(module), None)

    def leave(self) -> bool:
        try:
            self._context.pop()
        except self._drv.Error:
            return False
        return True

    def drain(self) -> str | None:
        try:
            self._drv.Context.synchronize()
        except self._drv.Error as error:
            return str(error).replace("cuCtxSynchronize failed: ", "")
        return None

    def abandon(self) -> None:
        # The destructors would call a dead context, or in a forked child the parent's: they must never run.
        kept = (self, self._context, *self._held.values(), *self._pinned.values(), *self._allocations.values())
        for one in kept:
            immortalise(one)


def driver() -> ModuleType:
    """pycuda.driver, initialised. Raises MissingComponent if pycuda is absent or there is no usable driver."""
    drv = need("pycuda.driver", "running a network on a GPU")
    try:
        drv.init()
    except drv.Error as error:
        raise MissingComponent(
            f"CUDA does not start in this process ({error}); if it was forked from one that had used the GPU, "
            "start it with multiprocessing's 'spawn' instead; else check nvidia-smi"
        ) from error
    return drv
