"""Memory that was freed and is wanted again with the next picture."""

from __future__ import annotations

import ctypes
import os

KEPT, LARGEST = 64 << 20, 32 << 20
"""Bytes that a thread's heap keeps when they are free, and up to which an array lies in that heap: what glibc itself
comes to (and no further) once it has seen arrays of 32 MB, those of a picture of 9 megapixels."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h


def keep_freed_memory() -> bool:
    """Have the C library keep what a picture's arrays lay in for those of the next, in this process; True if it does.

    For processes that make picture after picture. By default glibc gives the megabytes behind small pictures back to
    the kernel after each and takes them anew: 3000 page faults a cut-out of 0.2 megapixels, a third of its host time.
    False where there is no mallopt(3) (musl, macOS, Windows) or where the operator has set glibc's own MALLOC_...
    variables, which then hold.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST) and mallopt(_TRIM_THRESHOLD, KEPT))
