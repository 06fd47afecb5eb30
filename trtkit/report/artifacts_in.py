"""The artifacts that `trtkit verify` is to look at: those named, and those under the folders named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from trtkit import manifest
from trtkit.errors import CheckFailed, Mistake, TrtkitError
from trtkit.files import why_unreadable
from trtkit.manifest import SUFFIXES
from trtkit.mending import mending_command


def find_artifacts(files: Sequence[Path]) -> tuple[list[Path], list[TrtkitError]]:
    """What is to be judged, and why something could not be found: folders that are closed to this user, manifests whose
    artifact is gone. Raises Mistake for a folder that holds neither."""
    found: list[Path] = []
    unseen: list[TrtkitError] = []
    for file in files:
        # Path raises for what may not be looked at; as a file it gets its sentence when it is read.
        if not os.path.isdir(file):
            found.append(file)
            continue
        inside, problems = _walk(file)
        if not inside and not problems:
            raise Mistake(f"{file} holds no artifacts ({', '.join(SUFFIXES)})")
        found += sorted(inside)
        unseen += problems
    return found, unseen


def _walk(folder: Path) -> tuple[list[Path], list[TrtkitError]]:
    found: list[Path] = []
    problems: list[TrtkitError] = []

    def closed(error: OSError) -> None:
        problems.append(Mistake(f"{error.filename} cannot be listed: {why_unreadable(error)}"))

    for where, _, names in os.walk(folder, onerror=closed):
        for name in sorted(names):
            path = Path(where, name)
            artifact = path.with_suffix("")
            if path.suffix in SUFFIXES:
                found.append(path)
            elif path.suffix == ".json" and artifact.suffix in SUFFIXES and artifact.name not in names:
                problems.append(_orphan(artifact))
    return found, problems


def _orphan(artifact: Path) -> TrtkitError:
    sidecar = manifest.path_of(artifact)
    try:
        record = manifest.read_sidecar(artifact)
    except TrtkitError as error:
        return error
    return CheckFailed(
        f"{artifact} is gone, and its manifest stands; {mending_command(record, artifact)}, or delete {sidecar}"
    )
