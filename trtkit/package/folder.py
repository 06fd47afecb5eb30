"""A folder that is either whole or not there: written beside its place, then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from trtkit.errors import Mistake
from trtkit.files import PART, sha256, writing

RECORD = "package.json"

_RECORDED = {"schema_version": int, "trtkit": str, "files": dict}
"""What tells our record from a file of the same name that is npm's, whose 'files' is a list."""

Content = bytes | Path
"""A file's bytes, or the file that it is a copy of."""

Sums = dict[str, tuple[str, int]]
"""Path → (sha256, size)."""


def write(out: Path, files: Mapping[str, Content], record: Callable[[Sums], bytes]) -> int:
    """Put `files` and the RECORD that `record` makes of their sums into the folder `out`; returns the bytes written.

    A package that lies there is replaced. Raises Mistake where something else does, or where nothing can be written.
    """
    _may_replace(out)
    with writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        for left in out.parent.glob(f"{out.name}.*{PART}"):
            if not _alive(left):
                shutil.rmtree(left, ignore_errors=True)
        part, old = (out.with_name(f"{out.name}.{os.getpid()}.{kind}{PART}") for kind in ("new", "old"))
        try:
            sums = _fill(part, files)
            content = record(sums)
            _write(part / RECORD, content)
            if out.exists():
                out.rename(old)
            try:
                part.rename(out)
            except OSError:
                if old.exists():
                    old.rename(out)
                raise
        finally:
            for left in (part, old):
                shutil.rmtree(left, ignore_errors=True)
    return sum(size for _, size in sums.values()) + len(content)


def _alive(part: Path) -> bool:
    """Whether the process that writes this folder, NAME.PID.KIND.part, still runs."""
    pid = part.name.removesuffix(PART).split(".")[-2]
    if not pid.isdigit():
        return True  # not a name of ours
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _may_replace(out: Path) -> None:
    if out.name in ("", ".."):
        raise Mistake(f"--out {out} has no name that a package could be renamed to; name a folder")
    if not out.exists() and not out.is_symlink():
        return
    if out.is_dir() and not out.is_symlink():
        if not any(out.iterdir()) or _is_ours(out / RECORD):
            return
        lacks = f"its {RECORD} is not trtkit's" if (out / RECORD).exists() else f"{RECORD} is missing"
    else:
        lacks = "it is a link" if out.is_symlink() else "it is no folder"
    raise Mistake(f"--out {out} is there and is no package of trtkit's ({lacks}); name another folder")


def _is_ours(record: Path) -> bool:
    """Whether `trtkit package` wrote this: all that lies beside it may be deleted then."""
    try:
        content = json.loads(record.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and all(isinstance(content.get(key), kind) for key, kind in _RECORDED.items())


def _fill(folder: Path, files: Mapping[str, Content]) -> Sums:
    sums: Sums = {}
    copies: dict[Path, Path] = {}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            _write(path, content)
            sums[name] = (hashlib.sha256(content).hexdigest(), len(content))
            continue
        if content in copies:
            # The same engine or ONNX in several models: one file on the disk where the file system can.
            with contextlib.suppress(OSError):
                os.link(copies[content], path)
        if not path.exists():
            shutil.copyfile(content, path)
        copies.setdefault(content, path)
        sums[name] = (sha256(path), path.stat().st_size)
    return sums


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
