"""Memory of this machine's GPUs, asked of NVML itself: it makes no CUDA context of its own."""

from __future__ import annotations

import ctypes
import functools


class _Memory(ctypes.Structure):
    _fields_ = [("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong)]


@functools.cache
def _nvml() -> ctypes.CDLL | None:
    for name in ("libnvidia-ml.so.1", "nvml.dll"):
        try:
            nvml = ctypes.CDLL(name)
        except OSError:
            continue
        return nvml if nvml.nvmlInit_v2() == 0 else None
    return None


def gpu_memory() -> list[tuple[int, int]]:
    """(used, total) bytes of each GPU in NVML's order, all processes together; empty without a GPU or driver."""
    nvml = _nvml()
    count = ctypes.c_uint()
    if nvml is None or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
        return []
    found = []
    for number in range(count.value):
        device, memory = ctypes.c_void_p(), _Memory()
        if nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(device)) == 0 and (
            nvml.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory)) == 0
        ):
            found.append((memory.used, memory.total))
    return found
