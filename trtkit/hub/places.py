"""Where a snapshot may lie: the hub client's cache in the layouts it has had, newest first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from trtkit import files
from trtkit.hub import record
from trtkit.hub.official import Official, is_meant
from trtkit.hub.record import Record


def cache_root(given: Path | None) -> Path:
    """`given` (--cache), else $MODELSCOPE_CACHE, else ~/.cache/modelscope."""
    if given is not None:
        return given
    named = os.environ.get("MODELSCOPE_CACHE")
    return Path(named).expanduser() if named else files.home() / ".cache" / "modelscope"


def home(cache: Path, model_id: str, revision: str) -> Path:
    """Where a pull puts a snapshot: the present client's layout."""
    return cache / "models" / model_id.replace("/", "--") / "snapshots" / revision


def places(cache: Path, wanted: Official) -> Iterator[Path]:
    """Every folder that exists and may hold `wanted`: the present layout, then those of older clients, which wrote
    dots as '___' and did not separate revisions; under the present owner's name, then the older one."""
    for model_id in wanted.aliases:
        owner, _, name = model_id.partition("/")
        flat = name.replace(".", "___")
        for folder in (
            home(cache, model_id, wanted.revision),
            cache / "models" / owner / flat,
            cache / "hub" / "models" / owner / flat,
            cache / "hub" / owner / flat,
        ):
            if folder.is_dir():
                yield folder


def whole(folder: Path, wanted: Official, *, hashes: bool = False) -> Record | None:
    """The record of `folder` if everything `wanted` needs is there as it says; sizes alone unless `hashes`."""
    found = record.read(folder)
    if found is None or found.model_id not in wanted.aliases or found.revision != wanted.revision:
        return None
    if any(name not in found.files for name in wanted.files):
        return None
    return found if record.wrong_file(folder, found.files, hashes=hashes) is None else None


def find(cache: Path, wanted: Official) -> Path | None:
    """The folder of the whole snapshot, None if there is none."""
    return next((folder for folder in places(cache, wanted) if whole(folder, wanted)), None)


def unchecked(cache: Path, wanted: Official) -> Path | None:
    """A folder that has all the files and no record: some other client's, of which nobody has said it is whole.

    Older layouts do not say which revision they hold; it is the one that everybody pulls, if any.
    """
    present = {home(cache, model_id, wanted.revision) for model_id in wanted.aliases}
    for folder in places(cache, wanted):
        if folder not in present and not is_meant(wanted):
            continue
        if record.read(folder) is None and all((folder / name).is_file() for name in wanted.files):
            return folder
    return None
