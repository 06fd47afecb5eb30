"""`trtkit infer`: what ran where, a progress bar, how long each stage took."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trtkit import config as configuration
from trtkit.errors import Mistake
from trtkit.export.ready import ready
from trtkit.infer.inputs import jobs
from trtkit.infer.run import Done, Unforeseen, process
from trtkit.infer.transparency import check_results
from trtkit.models.imported.model import in_use
from trtkit.models.pipeline import Pipeline, StageClock
from trtkit.models.spec import Model
from trtkit.report.console import console, remarks
from trtkit.runtime import origins, select


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
    """Returns the exit code: 0, or the first failed picture's. `options` are the model's own, as given.

    A fault of trtkit's own that a picture met is raised when the others are done.
    """
    aside = remarks()
    settings = configuration.load()
    # What was named is looked at before anything is exported or loaded.
    asked, _ = in_use(model, style, root, settings)
    if asked.several_files and file_format != "png":
        raise Mistake(f"--format {file_format} is for a picture; {model} writes several files, its textures as PNG")
    suffix = "" if asked.several_files else f".{file_format}"
    work = jobs(pictures, out, asked.result_tag, suffix, options)
    check_results(asked, options, work, max_megapixels)
    made = ready(model, style, weights, root, settings, publish=False)
    chosen = made.model
    began = time.perf_counter()
    loaded = {
        network.name: select.load(chosen, network, made.root, backend, device=device, config=made.config)
        for network in chosen.networks_for(options)
    }
    pipeline = chosen.open_pipeline({name: one.backend for name, one in loaded.items()}, options, max_megapixels)
    aside.print(f"{chosen.folder}: {made.sentence}")
    for line in origins.lines(chosen.folder, loaded.values()):
        aside.print(line)
    for reason in dict.fromkeys(one.why for one in loaded.values() if one.why):
        aside.print(f"auto: {reason}")
    for note in (*made.notes, *pipeline.notes):
        aside.print(note)
    aside.print(f"loaded in {_ms(time.perf_counter() - began)}")
    began = time.perf_counter()
    outcomes, clock = _run(aside, pipeline, work, chosen, batch, max_megapixels)
    spent = time.perf_counter() - began
    for note in dict.fromkeys(note for one in loaded.values() for note in one.notes):
        aside.print(f"note: {note}")
    for one in loaded.values():
        one.backend.close()
    failed = [outcome for outcome in outcomes if outcome.error]
    _summary(console(), outcomes, clock, spent)
    for outcome in failed:
        if isinstance(outcome.error, Unforeseen) and outcome.error.__cause__:
            raise outcome.error.__cause__
    return failed[0].error.exit_code if failed and failed[0].error else 0


def _run(
    aside: Console,
    pipeline: Pipeline,
    work: list,
    model: Model,
    batch: int,
    max_megapixels: float,
) -> tuple[list[Done], StageClock]:
    """Of a model that names its stages they are shown as they come."""
    stages = model.stages
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not aside.is_terminal or (len(work) == 1 and not stages)
    with Progress(*columns, console=aside, transient=True, disable=hidden) as bar:
        task = bar.add_task("pictures", total=len(work))

        def told(stage: str, seconds: float | None) -> None:
            if stage in stages and seconds is None:
                bar.update(task, description=f"{stages[stage]}: {stage}")

        clock = StageClock(told)

        def done(outcome: Done) -> None:
            bar.advance(task)
            if outcome.error:
                bar.console.print(f"failed: {outcome.error}", style="red")
            for note in outcome.notes:
                bar.console.print(f"{outcome.job.source}: {note}")

        outcomes = process(
            pipeline, work, clock, batch, max_megapixels=max_megapixels, keeps_alpha=model.keeps_alpha, done=done
        )
        return outcomes, clock


def _summary(printer: Console, outcomes: list[Done], clock: StageClock, spent: float) -> None:
    good = [outcome for outcome in outcomes if not outcome.error]
    if not good:
        return
    stages = "  ".join(f"{name} {_ms(seconds / len(good))}" for name, seconds in clock.seconds.items())
    if len(outcomes) == 1:
        *others, last = good[0].files
        for path in others:
            printer.print(str(path))
        printer.print(f"{last}  {stages}  total {_ms(spent)}")
        return
    folders = {outcome.job.target.parent for outcome in good}
    where = f"written to {folders.pop()}" if len(folders) == 1 else "done, each result beside its picture"
    printer.print(
        f"{len(good)} of {len(outcomes)} pictures {where}, "
        f"{_ms(spent / len(good))} each ({stages} a picture, stages overlap)"
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"
