"""A mark in a model's folder while the networks of another set of weights get their names in it.

Each file is whole or not there, but a model has several: a process that is killed between two of them leaves networks
of two trainings side by side, each of them in order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from trtkit.errors import Mistake
from trtkit.file_lock import alone
from trtkit.files import reading, write_whole

NAME = "unfinished-export.txt"


@contextlib.contextmanager
def publishing(folder: Path, command: str) -> Iterator[None]:
    """While it lasts no other export publishes into `folder`; should it not end, `check` refuses the folder and names
    `command`."""
    with alone(folder / NAME):
        write_whole(folder / NAME, f"{command}\n".encode())
        yield
        (folder / NAME).unlink(missing_ok=True)


def marked(folder: Path) -> bool:
    with reading(folder):
        return (folder / NAME).is_file()


def clear(folder: Path) -> None:
    """What lies in `folder` is one set again."""
    if marked(folder):
        with alone(folder / NAME):
            (folder / NAME).unlink(missing_ok=True)


def check(folder: Path) -> None:
    """Wait for an export that publishes into `folder`. Raises Mistake, with the command that mends it, if one was
    stopped half way."""
    if not marked(folder):
        return
    with contextlib.suppress(Mistake), alone(folder / NAME):  # where nothing can be written, nobody exports either
        pass
    if marked(folder):
        with reading(folder / NAME):
            command = (folder / NAME).read_text(encoding="utf-8").strip()
        raise Mistake(
            f"{folder} may hold networks of two sets of weights, since an export into it was stopped; "
            f"run it again: {command}"
        )
