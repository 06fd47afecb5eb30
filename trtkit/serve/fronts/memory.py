"""Memory that two processes share, without a name: it is passed on as a descriptor and goes with its last user."""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
from collections.abc import Callable

import numpy as np

_SMALLEST = 1 << 16
_KEPT = 64 << 20
"""Bytes of free segments that a front keeps for the next requests."""

ALIGNED = 64
"""Where a tensor begins."""


def anonymous(size: int) -> int:
    """A descriptor of `size` bytes of zeros in no folder; the caller closes it."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("trtkit", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        os.truncate(descriptor, size)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def after(at: int, size: int) -> int:
    """Where the next tensor begins after one of `size` bytes at `at`."""
    return -(-(at + size) // ALIGNED) * ALIGNED


class Segment:
    """One piece of shared memory; arrays on it keep it open."""

    def __init__(self, number: int, size: int, descriptor: int) -> None:
        """Closes `descriptor`. Raises OSError where it cannot be mapped."""
        self.number, self.size = number, size
        try:
            self._memory = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)

    def array(self, shape: tuple[int, ...], dtype: np.dtype | str, at: int) -> np.ndarray:
        """Raises TypeError for one that is not inside."""
        return np.ndarray(shape, dtype, self._memory, at)


class Pool:
    """A front's segments, one for each run under way, used again for runs of about the same size.

    `tell_new(segment, descriptor)` and `tell_gone(number)` let the hub know. Safe to use from any thread.
    """

    def __init__(self, tell_new: Callable[[Segment, int], None], tell_gone: Callable[[int], None]) -> None:
        self._tell_new, self._tell_gone = tell_new, tell_gone
        self._free: dict[int, list[Segment]] = {}
        self._kept = 0
        self._count = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> Segment:
        """At least `size` bytes: the next power of two. Raises OSError where there is no descriptor or memory left."""
        rounded = max(_SMALLEST, 1 << (size - 1).bit_length())
        with self._lock:
            free = self._free.get(rounded)
            if free:
                self._kept -= rounded
                return free.pop()
            self._count += 1
            number = self._count
        descriptor = anonymous(rounded)
        try:
            segment = Segment(number, rounded, os.dup(descriptor))
            self._tell_new(segment, descriptor)
        finally:
            os.close(descriptor)
        return segment

    def give_back(self, segment: Segment) -> None:
        with self._lock:
            if self._kept + segment.size <= _KEPT:
                self._kept += segment.size
                self._free.setdefault(segment.size, []).append(segment)
                return
        self._tell_gone(segment.number)

    def discard(self, segment: Segment) -> None:
        """One that the hub could not map."""
        self._tell_gone(segment.number)

    def trim(self) -> None:
        """Keep no free segment."""
        with self._lock:
            free = [segment for segments in self._free.values() for segment in segments]
            self._free.clear()
            self._kept = 0
        for segment in free:
            self._tell_gone(segment.number)
