"""A mark in a model's folder while the networks of another set of weights get their names in it.

Each file is whole or not there, but a model has several: a process that is killed between two of them leaves networks
of two trainings side by side, each of them in order.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from trtkit.errors import Mistake
from trtkit.file_lock import alone, lock_of
from trtkit.files import reading, write_whole

NAME = "unfinished-export.txt"


@contextlib.contextmanager
def publishing(folder: Path) -> Iterator[None]:
    """While it lasts no other export publishes into `folder`."""
    with alone(folder / NAME):
        yield


@contextlib.contextmanager
def marked_with(folder: Path, command: str) -> Iterator[None]:
    """Within `publishing`: should it not end well, `check` refuses the folder and names `command`."""
    # The command names folders, whose names need not be UTF-8.
    write_whole(folder / NAME, os.fsencode(f"{command}\n"))
    yield
    (folder / NAME).unlink(missing_ok=True)


def marked(folder: Path) -> bool:
    with reading(folder):
        return (folder / NAME).is_file()


def clear(folder: Path, sound: Callable[[], bool] = lambda: True) -> None:
    """Remove the mark, if what lies in `folder` is `sound` once no export is under way."""
    if marked(folder):
        with publishing(folder):
            if sound():
                (folder / NAME).unlink(missing_ok=True)


def check(folder: Path) -> None:
    """Raise Mistake, with the command that mends it, if an export into `folder` was stopped half way; one that is under
    way is waited for, which is a moment: all is written by then."""
    if not marked(folder):
        return
    _wait(folder)
    if marked(folder):
        with reading(folder / NAME):
            command = os.fsdecode((folder / NAME).read_bytes()).strip()
        raise Mistake(
            f"{folder} may hold networks of two sets of weights, since an export into it was stopped; "
            f"run it again: {command}"
        )


def _wait(folder: Path) -> None:
    # Only read: the folder may be another user's, or a container's that is not to write into it.
    with contextlib.suppress(OSError), lock_of(folder / NAME).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
