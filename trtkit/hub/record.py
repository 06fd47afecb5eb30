"""The small file that says a snapshot is whole: written last, at once, and compared with what lies there.

A snapshot without it is not used, however many of its files are there. Nothing in it depends on when or where the
snapshot was pulled: two pulls of the same revision give the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from trtkit.files import PART, sha256, write_whole

NAME = ".trtkit-snapshot.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Entry:
    size: int
    sha256: str


@dataclass(frozen=True)
class Record:
    """`compared` is True if the sums are the hub's own, False if they were taken of a cache without asking it."""

    model_id: str
    revision: str
    compared: bool
    files: dict[str, Entry]


def write(folder: Path, record: Record) -> None:
    """Leftovers of a process that was killed in this very step are removed first."""
    for left in folder.glob(f"{NAME}.*{PART}"):
        left.unlink(missing_ok=True)
    raw = {
        "schema_version": SCHEMA_VERSION,
        "model_id": record.model_id,
        "revision": record.revision,
        "compared": record.compared,
        "files": {name: [entry.size, entry.sha256] for name, entry in sorted(record.files.items())},
    }
    write_whole(folder / NAME, (json.dumps(raw, indent=2) + "\n").encode())


def remove(folder: Path) -> None:
    (folder / NAME).unlink(missing_ok=True)


def read(folder: Path) -> Record | None:
    """The record of `folder`, None if there is none or it is not one that this trtkit reads."""
    try:
        raw = json.loads((folder / NAME).read_bytes())
        if raw["schema_version"] != SCHEMA_VERSION:
            return None
        files = {str(name): Entry(int(size), str(digest)) for name, (size, digest) in raw["files"].items()}
        return Record(str(raw["model_id"]), str(raw["revision"]), bool(raw["compared"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def wrong_file(folder: Path, files: dict[str, Entry], *, hashes: bool) -> str | None:
    """The first of `files` that is missing, of another size or (with `hashes`) of other content; None if none is."""
    for name, entry in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != entry.size:
            return name
        if hashes and sha256(path) != entry.sha256:
            return name
    return None
