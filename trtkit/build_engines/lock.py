"""One build of a target at a time, across processes, and a tidy folder after a killed one."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from trtkit.errors import Mistake
from trtkit.files import PART, writing


@contextlib.contextmanager
def building(target: Path) -> Iterator[None]:
    """Hold the lock of `target` (TARGET.lock beside it) and clear what killed builds of it have left.

    The kernel drops the lock with its process, however that ends. Raises Mistake, naming the file and the
    process that holds it, if another build of the same target is under way.
    """
    path = target.with_name(target.name + ".lock")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(path)
    try:
        remove_stale_parts(target)
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            who = f"process {holder}" if holder else "another process"
            target = path.with_name(path.name.removesuffix(".lock"))
            raise Mistake(f"{target} is being built by {who}; wait until that has ended, or stop it") from None
        except OSError:
            os.close(descriptor)
            raise
        # Whoever held it before may have removed the name meanwhile: then this lock guards nothing.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                return descriptor
        os.close(descriptor)


def remove_stale_parts(target: Path) -> None:
    """Remove TARGET*.PID.part of processes that are gone. Call it under the target's lock."""
    for part in target.parent.glob(f"{target.name}*{PART}"):
        pid = part.name.removesuffix(PART).rpartition(".")[2]
        # This process holds the lock and is not writing yet: a part with its number is from an earlier life
        # (containers give the same numbers again).
        if pid.isdigit() and (int(pid) == os.getpid() or not _alive(int(pid))):
            with contextlib.suppress(OSError):
                part.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
