"""One process at a time at a file that is read, changed and written."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from trtkit.files import writing


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait for the lock of `path` (PATH.lock beside it) and hold it.

    The kernel drops the lock with its process, however that ends. Raises Mistake as `write_whole` does.
    """
    lock = path.with_name(path.name + ".lock")
    with writing(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(lock)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _locked(lock: Path) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Whoever held it before has removed the name: then this lock guards nothing.
            if lock.exists() and os.path.samestat(os.fstat(descriptor), lock.stat()):
                return descriptor
        except FileNotFoundError:
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
