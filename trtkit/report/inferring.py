"""`trtkit infer`: what ran where, a progress bar, how long each stage took."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trtkit import config as configuration
from trtkit.export.ready import ready
from trtkit.infer.inputs import jobs
from trtkit.infer.run import Done, process
from trtkit.models.pipeline import Pipeline, StageClock
from trtkit.report.console import console
from trtkit.runtime import select


def show(
    pictures: list[str],
    out: Path | None,
    model: str,
    style: str | None,
    weights: str | None,
    options: dict[str, Any],
    file_format: str,
    backend: str,
    device: int,
    batch: int,
    max_megapixels: float,
    root: Path,
) -> int:
    """Returns the exit code: 0, or the first failed picture's. `options` are the model's own, as given."""
    printer = console()
    made = ready(model, style, weights, root, configuration.load(), publish=False)
    chosen = made.model
    work = jobs(pictures, out, chosen.result_tag, f".{file_format}")
    began = time.perf_counter()
    loaded = {
        network.name: select.load(chosen, network, made.root, backend, device=device, config=made.config)
        for network in chosen.networks
    }
    pipeline = chosen.open_pipeline({name: one.backend for name, one in loaded.items()}, options, max_megapixels)
    printer.print(f"{chosen.folder}: {made.sentence}")
    for line in dict.fromkeys(f"{chosen.folder}: {one.weights}, on {one.where}" for one in loaded.values()):
        printer.print(line)
    for reason in dict.fromkeys(one.why for one in loaded.values() if one.why):
        printer.print(f"auto: {reason}")
    for note in pipeline.notes:
        printer.print(note)
    printer.print(f"loaded in {_ms(time.perf_counter() - began)}")
    clock = StageClock()
    began = time.perf_counter()
    outcomes = _run(printer, pipeline, work, clock, batch, max_megapixels)
    spent = time.perf_counter() - began
    for note in dict.fromkeys(note for one in loaded.values() for note in one.notes):
        printer.print(f"note: {note}")
    for one in loaded.values():
        one.backend.close()
    failed = [outcome for outcome in outcomes if outcome.error]
    _summary(printer, outcomes, clock, spent)
    return failed[0].error.exit_code if failed and failed[0].error else 0


def _run(
    printer: Console, pipeline: Pipeline, work: list, clock: StageClock, batch: int, max_megapixels: float
) -> list[Done]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=printer, transient=True, disable=len(work) == 1) as bar:
        task = bar.add_task("pictures", total=len(work))

        def done(outcome: Done) -> None:
            bar.advance(task)
            if outcome.error:
                bar.console.print(f"failed: {outcome.error}", style="red")

        return process(pipeline, work, clock, batch, max_megapixels=max_megapixels, done=done)


def _summary(printer: Console, outcomes: list[Done], clock: StageClock, spent: float) -> None:
    good = [outcome for outcome in outcomes if not outcome.error]
    if not good:
        return
    stages = "  ".join(f"{name} {_ms(seconds / len(good))}" for name, seconds in clock.seconds.items())
    if len(outcomes) == 1:
        printer.print(f"{good[0].job.target}  {stages}  total {_ms(spent)}")
        return
    printer.print(
        f"{len(good)} of {len(outcomes)} pictures written to {good[0].job.target.parent}, "
        f"{_ms(spent / len(good))} each ({stages} a picture, stages overlap)"
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"
