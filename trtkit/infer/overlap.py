"""No result may replace what it, or another result, is made from: found by the names, before anything is loaded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtkit.errors import Mistake

if TYPE_CHECKING:
    from trtkit.infer.inputs import Job

_TEXTURE = ".png"
"""The only pictures among the several files of a result."""


class Places:
    """Where names lead to. Each folder's real path is looked up once: there may be many thousand names in it."""

    def __init__(self) -> None:
        self._folders: dict[str, str] = {}

    def entry(self, path: Path) -> str:
        """The real folder and the name in it: what a result with the name `path` replaces."""
        folder = str(path.parent)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], path.name)

    def all(self, path: Path) -> tuple[str, ...]:
        """The entry, and the file that it links to, if it is a link."""
        entry = self.entry(path)
        return (entry, os.path.realpath(entry)) if os.path.islink(entry) else (entry,)


def check_overlap(work: Sequence[Job], several: bool, options: Mapping[str, Any], places: Places) -> None:
    """Raises Mistake, naming both, where a target of `work` is one of its sources or a file that `options` name.

    `several` says that targets are what the names of several files begin with. A source is a picture, so that only
    pictures among those files count.
    """
    made: dict[str, Job] = {}
    for job in work:
        for place in places.all(job.target):
            made.setdefault(place, job)
    for path, named in (*((job.source, None) for job in work), *_files(options)):
        for place in places.all(path):
            for target in _beginnings(place) if several else (place,):
                if target in made:
                    raise Mistake(_sentence(made[target], path, named))


def _beginnings(place: str) -> Iterator[str]:
    """The targets that have the picture `place` among their files."""
    if not place.endswith(_TEXTURE):
        return
    name = os.path.basename(place)
    for at in (at for at, letter in enumerate(name) if letter == "."):
        yield place[: len(place) - len(name) + at]


def _files(options: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The files among the options' values, and the options."""
    for name, value in options.items():
        if isinstance(value, str) and os.path.isfile(value):
            yield Path(value), f"--{name.replace('_', '-')}"


def _sentence(job: Job, path: Path, named: str | None) -> str:
    if named is not None:
        return f"the result of {job.source} would replace {path}, which {named} names; give --out another name"
    if path == job.source:
        return f"--out {job.target} would replace the picture itself; name another file"
    return (
        f"the result of {job.source} would replace {path}, which is named as a picture, too; leave out results of "
        "earlier runs, as a folder or a pattern in quotes does, or give --out another folder"
    )
