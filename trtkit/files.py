"""Files that are either whole or not there: temporary name, flush, rename.

A killed process leaves at most a name ending in ``.part``. Nothing reads it, and whoever writes the same file an hour
later or more removes it.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from trtkit.errors import Mistake

PART = ".part"
_YOUNG = 3600.0
"""Seconds in which whoever writes a file may still be at it."""


def home() -> Path:
    """The user's home; '/' for a container's user whom nothing knows, as Docker itself has it."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def why_unreadable(error: OSError | UnicodeDecodeError) -> str:
    """What kept a text from being read, without the file's name, and what would be right."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8; save it as UTF-8 text"
    if isinstance(error, FileNotFoundError):
        return "it does not exist; check the name"
    return f"{error.strerror or error}; check its kind and permissions"


def sha256(path: Path) -> str:
    """Hex digest of a file's content, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` by way of a temporary name in the same folder.

    Raises Mistake, naming the file, when the folder cannot be made or written or the disk is full.
    """
    write_in_order([(path, content)])


def write_in_order(files: Sequence[tuple[Path, bytes]]) -> None:
    """`write_whole` for files that belong together: all are on the disk before the first gets its name, so that a kill
    hardly ever parts them."""
    with written(files) as name_them:
        name_them()


@contextlib.contextmanager
def written(files: Sequence[tuple[Path, bytes]]) -> Iterator[Callable[[], None]]:
    """All of `files` are on the disk under temporary names while this lasts; what it gives gives them their own.

    Raises Mistake as `write_whole` does, and then nothing has changed.
    """
    parts: list[Path] = []

    def name_them() -> None:
        for part, (path, _) in zip(parts, files, strict=True):
            with writing(path):
                part.replace(path)

    try:
        for path, content in files:
            with writing(path):
                _refuse_what_is_no_file(path)
                path.parent.mkdir(parents=True, exist_ok=True)
                remove_left(path)
                # The process id keeps two writers of one name apart: the later rename wins, whole.
                parts.append(path.with_name(f"{path.name}.{os.getpid()}{PART}"))
                with parts[-1].open("wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
        yield name_them
    finally:
        for part in parts:
            with contextlib.suppress(OSError):
                part.unlink()


def remove_left(path: Path) -> None:
    """Remove PATH.PID.part of processes that are gone."""
    for part, pid in _left_in(path.parent).pop(path.name, ()):
        with contextlib.suppress(OSError):
            # A young one may be another container's, whose numbers say nothing here.
            if not alive(pid) and time.time() - part.stat().st_mtime > _YOUNG:
                part.unlink()


@functools.cache
def _left_in(folder: Path) -> dict[str, list[tuple[Path, int]]]:
    """NAME → its parts and their processes, as of the first look: a folder of many results is listed once."""
    found: dict[str, list[tuple[Path, int]]] = {}
    for part in folder.glob(f"*{PART}"):
        name, _, pid = part.name.removesuffix(PART).rpartition(".")
        if pid.isdecimal() and int(pid) != os.getpid():
            found.setdefault(name, []).append((part, int(pid)))
    return found


def alive(pid: int) -> bool:
    """Whether a process of that number runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while `path` is read into one sentence."""
    try:
        yield
    except OSError as error:
        raise Mistake(f"{path} cannot be read: {why_unreadable(error)}") from error


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while `path` is written into one sentence."""
    try:
        yield
    except OSError as error:
        raise Mistake(_sentence(path, error)) from error


def check_writable(path: Path) -> None:
    """Raises the Mistake that `write_whole` would, as far as can be told without writing: to be called before work
    that takes long."""
    with writing(path):
        _refuse_what_is_no_file(path)
        folder = _deepest(path)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _refuse_what_is_no_file(path: Path) -> None:
    # A rename would put a file in the place of /dev/null.
    if path.exists() and not path.is_file():
        raise Mistake(f"{path} is no file that could be replaced; name another")


def _deepest(path: Path) -> Path:
    """How far the path to the file `path` is there: to a folder, mostly, in which the rest can be made."""
    return next(parent for parent in path.parents if os.path.lexists(parent))


def _sentence(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no room left on the disk for {path}; free some space or name another place"
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{_deepest(path)} is a file, not a folder, so {path.name} cannot be written there; name a folder"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{_deepest(path)} cannot be written to ({error.strerror}); name another place"
    return f"{path} cannot be written: {error.strerror or error}"
