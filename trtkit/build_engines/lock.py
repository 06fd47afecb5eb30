"""One build of a target at a time, across processes, and a tidy folder after a killed one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from trtkit.errors import Mistake
from trtkit.file_lock import alone
from trtkit.files import PART, alive


@contextlib.contextmanager
def building(target: Path) -> Iterator[None]:
    """Hold the lock of `target` and clear what killed builds of it have left.

    Raises Mistake, naming the file and the process that holds it, if another build of the same target is under way.
    """

    def busy(holder: str) -> Mistake:
        who = f"process {holder}" if holder else "another process"
        return Mistake(f"{target} is being built by {who}; wait until that has ended, or stop it")

    with alone(target, busy):
        remove_stale_parts(target)
        yield


def remove_stale_parts(target: Path) -> None:
    """Remove TARGET*.PID.part of processes that are gone. Call it under the target's lock."""
    for part in target.parent.glob(f"{target.name}*{PART}"):
        pid = part.name.removesuffix(PART).rpartition(".")[2]
        # This process holds the lock and is not writing yet: a part with its number is from an earlier life
        # (containers give the same numbers again).
        if pid.isdigit() and (int(pid) == os.getpid() or not alive(int(pid))):
            with contextlib.suppress(OSError):
                part.unlink()
