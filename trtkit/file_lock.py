"""One process at a time at a file, across processes."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from trtkit.files import writing


@contextlib.contextmanager
def alone(path: Path, busy: Callable[[str], Exception] | None = None) -> Iterator[None]:
    """Hold the lock of `path` (PATH.lock beside it); wait for it, or raise `busy(holder)` where another process has it.

    `holder` is that process's number, '' if it is not known. The kernel drops the lock with its process, however that
    ends. Raises Mistake as `write_whole` does.
    """
    lock = lock_of(path)
    with writing(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(lock, busy)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def lock_of(path: Path) -> Path:
    """The file whose lock is that of `path`; it is there while somebody holds it."""
    return path.with_name(path.name + ".lock")


def _acquire(lock: Path, busy: Callable[[str], Exception] | None) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if busy else 0))
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            if busy is None:
                raise
            raise busy(holder) from None
        except OSError:
            os.close(descriptor)
            raise
        # Whoever held it before may have removed the name meanwhile: then this lock guards nothing.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), lock.stat()):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        os.close(descriptor)
