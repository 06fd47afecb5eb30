"""`trtkit infer`: what ran where, a progress bar, how long each stage took."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trtkit import models
from trtkit.errors import Mistake
from trtkit.infer.inputs import jobs
from trtkit.infer.run import Done, process
from trtkit.models.pipeline import Pipeline, StageClock
from trtkit.report.console import console
from trtkit.runtime import select

FORMATS = ("png", "webp", "jpg")


def show(
    pictures: list[str],
    out: Path | None,
    model: str,
    size: int,
    background: str | None,
    alpha_only: bool,
    file_format: str,
    backend: str,
    batch: int,
    max_megapixels: float,
    root: Path,
) -> int:
    """Returns the exit code: 0, or the first failed picture's."""
    printer = console()
    if file_format not in FORMATS:
        raise Mistake(f"--format {file_format} is not known; known formats: {', '.join(FORMATS)}")
    chosen = models.get(model)
    network = chosen.networks[0]
    work = jobs(pictures, out, "cutout", f".{file_format}")
    began = time.perf_counter()
    loaded = select.load(chosen, network, root, backend)
    pipeline = _cut_out(loaded, size, background, alpha_only, max_megapixels)
    printer.print(f"{model}: {loaded.weights}, on {loaded.where}; loaded in {_ms(time.perf_counter() - began)}")
    clock = StageClock()
    began = time.perf_counter()
    outcomes = _run(printer, pipeline, work, clock, batch, max_megapixels)
    spent = time.perf_counter() - began
    loaded.backend.close()
    failed = [outcome for outcome in outcomes if outcome.error]
    _summary(printer, outcomes, clock, spent)
    return failed[0].error.exit_code if failed and failed[0].error else 0


def _cut_out(
    loaded: select.Loaded, size: int, background: str | None, alpha_only: bool, max_megapixels: float
) -> Pipeline:
    from trtkit.models.cv_unet.pipeline import CutOut, Options
    from trtkit.models.imaging.background import read_background

    if background is not None and alpha_only:
        raise Mistake("--background and --alpha-only exclude each other: a matte has no colours to stand before")
    behind = read_background(background, max_megapixels) if background is not None else None
    return CutOut(loaded.backend, Options(size, behind, alpha_only))


def _run(
    printer: Console, pipeline: Pipeline, work: list, clock: StageClock, batch: int, max_megapixels: float
) -> list[Done]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=printer, transient=True, disable=len(work) == 1) as bar:
        task = bar.add_task("pictures", total=len(work))

        def done(outcome: Done) -> None:
            bar.advance(task)
            if outcome.error:
                bar.console.print(f"[red]failed:[/] {outcome.error}", markup=True)

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
