"""What a process may do with a GPU: nothing after a fork, and everything freed before it ends.

CUDA does not survive a fork: a child that touches its parent's context gets errors or hangs. Workers are started with
'spawn'.
"""

from __future__ import annotations

import atexit
import ctypes
import os
from typing import Protocol

from trtkit.errors import Mistake


class Guest(Protocol):
    """Something that holds a GPU."""

    def close(self) -> None:
        """Free everything: called at interpreter exit."""
        ...

    def abandon(self) -> None:
        """Free nothing, ever: called at once in a forked child, where it belongs to the parent."""
        ...


_used_by: int | None = None
"""The process that first opened a GPU here; a forked child inherits it."""
_guests: list[Guest] = []


def check() -> None:
    """Raise Mistake in a forked child of a process that has opened a GPU; otherwise note that this one uses it."""
    global _used_by
    if _used_by is None:
        _used_by = os.getpid()
    elif inherited():
        raise Mistake(
            f"process {os.getpid()} was forked from process {_used_by}, which uses the GPU, and CUDA does not survive "
            "a fork; start it with multiprocessing.get_context('spawn')"
        )


def inherited() -> bool:
    """Whether what holds a GPU here belongs to the process that this one was forked from."""
    return _used_by is not None and _used_by != os.getpid()


def enter(guest: Guest) -> None:
    """From here on `guest` is closed at exit and abandoned in a forked child, until it leaves."""
    _guests.append(guest)


def leave(guest: Guest) -> None:
    if guest in _guests:
        _guests.remove(guest)


def immortalise(kept: object) -> None:
    """Never destroy `kept`: its destructor would call into a dead context, or into the parent's from a forked child."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


def _close_all() -> None:
    if _used_by == os.getpid():
        for guest in list(_guests):
            guest.close()


def _abandon_all() -> None:
    for guest in list(_guests):
        guest.abandon()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
