"""This machine's GPUs, asked of the driver itself: no CUDA package has to be installed for it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterator

from trtkit.errors import MissingComponent

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR


NO_DEVICE = 100
"""CUDA_ERROR_NO_DEVICE: what cuInit gives where there is no GPU, or where CUDA_VISIBLE_DEVICES shows none."""


@functools.cache
def _opened() -> tuple[ctypes.CDLL, int] | None:
    """The driver's library and what its cuInit gave, 0 for success; None where there is no such library."""
    for name in ("libcuda.so.1", "nvcuda.dll"):
        with contextlib.suppress(OSError):
            driver = ctypes.CDLL(name)
            return driver, driver.cuInit(0)
    return None


def _driver() -> ctypes.CDLL | None:
    found = _opened()
    return found[0] if found is not None and found[1] == 0 else None


def init_error() -> int | None:
    """The number that cuInit gave, 0 for success; None where the driver's library is not found."""
    found = _opened()
    return None if found is None else found[1]


@functools.cache
def local_capabilities() -> tuple[str, ...]:
    """Compute capability of each GPU in CUDA's order, e.g. ('8.6', '8.9'); empty without a GPU or driver."""
    driver = _driver()
    count = ctypes.c_int()
    if driver is None or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return ()
    return tuple(f"{_attribute(driver, _MAJOR, i)}.{_attribute(driver, _MINOR, i)}" for i in range(count.value))


def local_names() -> tuple[tuple[str, int], ...]:
    """Name and bytes of memory of each GPU of `local_capabilities`, in the same order."""
    driver = _driver()
    return () if driver is None else tuple(_name(driver, ordinal) for ordinal in range(len(local_capabilities())))


def _name(driver: ctypes.CDLL, ordinal: int) -> tuple[str, int]:
    device, text, size = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
    driver.cuDeviceGet(ctypes.byref(device), ordinal)
    driver.cuDeviceGetName(text, len(text), device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(size), device)
    return text.value.decode(errors="replace"), size.value


@functools.cache
def cuda_version() -> str | None:
    """The newest CUDA that the driver runs, e.g. '13.0'; None without a driver."""
    driver, version = _driver(), ctypes.c_int()
    if driver is None or driver.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return None
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


@functools.cache
def driver_version() -> str:
    """'580.95.05', asked of NVML; 'unknown' without it."""
    for name in ("libnvidia-ml.so.1", "nvml.dll"):
        with contextlib.suppress(OSError):
            nvml = ctypes.CDLL(name)
            text = ctypes.create_string_buffer(80)
            if nvml.nvmlInit_v2() == 0 and nvml.nvmlSystemGetDriverVersion(text, 80) == 0:
                return text.value.decode()
    return "unknown"


def _attribute(driver: ctypes.CDLL, attribute: int, ordinal: int) -> int:
    device, value = ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceGet(ctypes.byref(device), ordinal)
    driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return value.value


@contextlib.contextmanager
def current_gpu(capability: str) -> Iterator[None]:
    """Make the first GPU of `capability` the calling thread's current device, by its primary context.

    TensorRT builds for, and deserializes on, the current device (ultralytics/ultralytics#26223). Raises
    MissingComponent if there is no such GPU.
    """
    driver = _driver()
    if driver is None or capability not in local_capabilities():
        raise MissingComponent(f"this machine has no GPU of compute capability {capability} to build on")
    device, context = ctypes.c_int(), ctypes.c_void_p()
    driver.cuDeviceGet(ctypes.byref(device), local_capabilities().index(capability))
    if driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) != 0:
        raise MissingComponent(f"the GPU of compute capability {capability} gives no context; is it in exclusive use?")
    try:
        driver.cuCtxSetCurrent(context)
        yield
    finally:
        driver.cuCtxSetCurrent(None)
        driver.cuDevicePrimaryCtxRelease_v2(device)
