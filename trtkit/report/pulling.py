"""`trtkit pull`: a progress bar a file, then where the snapshot lies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from trtkit.hub import places
from trtkit.hub.official import official
from trtkit.hub.pull import pull
from trtkit.hub.record import Record
from trtkit.report.console import console, remarks


def show(
    model: str,
    style: str | None,
    revision: str | None,
    cache: Path | None,
    endpoint: str | None,
    offline: bool,
) -> None:
    """Raises what pull raises; files that came whole stay for the next run."""
    wanted = official(model, style)
    if revision is not None:
        wanted = replace(wanted, revision=revision)
    printer, aside = console(), remarks()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=aside, transient=True, disable=not aside.is_terminal) as bar:
        tasks: dict[str, TaskID] = {}

        def progress(name: str, done: int, size: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=size)
            bar.update(tasks[name], completed=done)

        pulled = pull(wanted, places.cache_root(cache), endpoint, offline, progress)
    size = sum(entry.size for entry in pulled.record.files.values())
    printer.print(f"{wanted.model_id} {wanted.revision}: {pulled.note}")
    printer.print(f"{pulled.folder}  {len(pulled.record.files)} files, {size / 1e6:.1f} MB, {_sums(pulled.record)}")


def _sums(record: Record) -> str:
    return "sha256 as the hub states" if record.compared else "sha256 as recorded here, not stated by the hub"
