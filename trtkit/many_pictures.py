"""What a process settles once that makes picture after picture, each in a thread of its own."""

from __future__ import annotations

import ctypes
import os

import cv2

KEPT, LARGEST = 64 << 20, 32 << 20
"""Bytes that a thread's heap keeps when they are free, and up to which an array lies in that heap: what glibc itself
comes to (and no further) once it has seen arrays of 32 MB, those of a picture of 9 megapixels."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def for_many_pictures() -> None:
    """Both of the following, where the operator has not settled them."""
    keep_freed_memory()
    one_thread_a_picture()


def keep_freed_memory() -> bool:
    """Have the C library keep what a picture's arrays lay in for those of the next, in this process; True if it does.

    By default glibc gives the megabytes behind small pictures back to the kernel after each and takes them anew: 3000
    page faults a cut-out of 0.2 megapixels, a third of its host time. False where there is no mallopt(3) (musl, macOS,
    Windows) or where the operator has set glibc's own MALLOC_... variables, which then hold.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST) and mallopt(_TRIM_THRESHOLD, KEPT))


def one_thread_a_picture() -> None:
    """Have OpenCV work in the thread that calls it, in this process.

    A server has a thread for each picture already, and to wake others for a part of a resize costs more than it brings:
    9 % of the CPU for a cut-out of 12 megapixels, whose lone client waits as long either way (2 cores).

    Where the operator has set OpenCV's own OPENCV_FOR_THREADS_NUM, that holds.
    """
    if "OPENCV_FOR_THREADS_NUM" not in os.environ:
        cv2.setNumThreads(1)
