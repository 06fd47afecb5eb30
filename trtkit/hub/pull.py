"""A model's official snapshot → a folder that has all of it, checked: or one sentence and no such folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from trtkit.errors import CheckFailed, MissingComponent, Mistake
from trtkit.files import sha256, writing
from trtkit.hub import places, record
from trtkit.hub.client import Hub
from trtkit.hub.official import Official
from trtkit.hub.record import Entry, Record

Progress = Callable[[str, int, int], None]
"""Called with a file's path, the bytes it has so far and its size."""


@dataclass(frozen=True)
class Pulled:
    """`note` says where the files came from, for people."""

    folder: Path
    record: Record
    note: str


def pull(
    wanted: Official,
    cache: Path,
    endpoint: str | None = None,
    offline: bool = False,
    progress: Progress = lambda name, done, size: None,
) -> Pulled:
    """Bring `wanted` under `cache`, unless it is there in one of the layouts; only what is missing is transferred.

    Offline no request is made. Raises Mistake, MissingComponent or CheckFailed, and then no folder counts as whole
    that did not before.
    """
    if offline:
        return _from_cache(wanted, cache)
    hub = Hub(endpoint)
    try:
        listed = hub.listing(wanted)
    except MissingComponent as error:
        # The hub is gone; a snapshot that was whole is whole.
        for folder in places.places(cache, wanted):
            if found := places.whole(folder, wanted, hashes=True):
                return Pulled(folder, found, f"already there; the hub was not asked: {error}")
        raise
    for folder in places.places(cache, wanted):
        if (found := _as_listed(folder, wanted, listed)) is not None:
            return Pulled(folder, found, "already there, as the hub has it")
    folder = places.home(cache, wanted.model_id, wanted.revision)
    with writing(folder / record.NAME):
        folder.mkdir(parents=True, exist_ok=True)
        record.remove(folder)
    total = 0
    for name, entry in listed.items():
        if _is(folder / name, entry):
            continue
        total += entry.size
        _fetch(hub, wanted, name, entry, folder, cache, progress)
    found = _as_listed(folder, wanted, listed)
    if found is None:
        raise CheckFailed(f"{folder} changed while it was pulled; run the command again")
    return Pulled(folder, found, f"{total / 1e6:.1f} MB transferred from {hub.endpoint}")


def _from_cache(wanted: Official, cache: Path) -> Pulled:
    for folder in places.places(cache, wanted):
        if found := places.whole(folder, wanted, hashes=True):
            return Pulled(folder, found, "already there")
    adopted = places.unchecked(cache, wanted)
    if adopted is None:
        looked = places.home(cache, wanted.model_id, wanted.revision)
        raise Mistake(
            f"--offline: there is no whole snapshot of {wanted.model_id} {wanted.revision} under {cache} "
            f"(it would lie in {looked}, or where an older client put it); run the command once without --offline"
        )
    files = {name: Entry((adopted / name).stat().st_size, sha256(adopted / name)) for name in wanted.files}
    made = Record(wanted.model_id, wanted.revision, False, files)
    record.write(adopted, made)
    return Pulled(adopted, made, "found as another client left it, not compared with the hub")


def _fetch(hub: Hub, wanted: Official, name: str, entry: Entry, folder: Path, cache: Path, progress: Progress) -> None:
    # A file that was cut short goes on where it stopped.
    partial = folder / f"{name}.incomplete"
    come = partial.stat().st_size if partial.is_file() else 0
    progress(name, come, entry.size)

    def advance(_: str, more: int) -> None:
        nonlocal come
        come = min(come + more, entry.size)
        progress(name, come, entry.size)

    hub.fetch(wanted, name, entry, folder, cache, advance)


def _is(path: Path, entry: Entry) -> bool:
    if not path.is_file() or path.stat().st_size != entry.size:
        return False
    # Without the hub's sum, only what this pull fetched itself is known to be whole.
    return bool(entry.sha256) and sha256(path) == entry.sha256


def _as_listed(folder: Path, wanted: Official, listed: dict[str, Entry]) -> Record | None:
    """The record of a folder that is what the hub lists; written if the folder had none, or another."""
    if record.wrong_file(folder, listed, hashes=False) is not None:
        return None
    files = {}
    for name, entry in listed.items():
        digest = sha256(folder / name)
        if entry.sha256 and digest != entry.sha256:
            return None
        files[name] = replace(entry, sha256=digest)
    made = Record(wanted.model_id, wanted.revision, all(entry.sha256 for entry in listed.values()), files)
    if record.read(folder) != made:
        record.write(folder, made)
    return made
