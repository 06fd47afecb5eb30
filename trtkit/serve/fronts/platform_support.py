"""Whether a server can be several processes."""

from __future__ import annotations

import signal
import socket

from trtkit.errors import Mistake


def check_processes(processes: int) -> None:
    """Raises Mistake for a number that makes no sense, or on a system whose processes cannot share memory this way."""
    if processes < 1:
        raise Mistake(f"--processes is {processes}; right would be 1, or as many as there are cores for host work")
    if processes > 1 and not possible():
        raise Mistake(
            f"--processes {processes} needs Unix sockets that hand on memory, which this system does not have; leave "
            "it out, or start several servers behind a balancer"
        )


def possible() -> bool:
    """Whether this system's processes can share memory as fronts and hub do."""
    return hasattr(socket, "AF_UNIX") and hasattr(socket, "CMSG_SPACE") and hasattr(signal, "pthread_sigmask")
