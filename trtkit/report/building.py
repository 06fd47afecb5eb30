"""`trtkit build`: a row a GPU asked for, a file a compute capability."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from trtkit import config as configuration
from trtkit import models
from trtkit.build_engines.run import Outcome, build_engines
from trtkit.config import Config, Precision
from trtkit.errors import Mistake
from trtkit.export.ready import ready
from trtkit.export.run import ensure
from trtkit.files import write_whole
from trtkit.models.spec import Model
from trtkit.report.console import console, table

COLUMNS = ("network", "GPU", "cc", "state", "file", "Half", "Int8", "activations + weights", "executed")

Row = tuple[str, str, Outcome]
"""MODEL/NETWORK, the GPU asked for, what came of it."""


def show(
    names: list[str],
    gpus: list[str],
    precision: Precision,
    builder: str,
    style: str | None,
    weights: str | None,
    out: Path,
    images: Path | None,
    force: bool,
    config: Path | None,
    summary: Path | None,
) -> None:
    """Build every network of `names` (default: all models) for every GPU of `gpus`, then print the table.

    Raises the first error; engines finished before it stand.
    """
    settings = configuration.load(config)
    if not gpus:
        raise Mistake(f"--gpu is missing; name one or more of: {', '.join(settings.gpus)}")
    for gpu in gpus:
        settings.gpu(gpu)
    began = time.perf_counter()
    printer = console()
    rows: list[Row] = []
    # With no names every model is built, which a style narrows to those that have it.
    chosen = names or [name for name in models.NAMES if not style or models.get(name).styles]
    for made in [ready(name, style, weights, out, settings, images) for name in chosen]:
        printer.print(f"{made.model.folder}: {made.sentence}")
        rows += _build_model(printer, made.model, gpus, precision, builder, out, images, force, made.config)
    cells = [_cells(row, settings) for row in rows]
    shown = table(*COLUMNS)
    for line in cells:
        shown.add_row(*line)
    printer.print(shown)
    for sentence in dict.fromkeys(row[2].sentence for row in rows if row[2].state == "served by onnxruntime"):
        printer.print(sentence)
    files = {row[2].path for row in rows}
    printer.print(f"{len(rows)} rows, {len(files)} files under {out}, {time.perf_counter() - began:.1f} s")
    if summary is not None:
        lines = [COLUMNS, tuple("---" for _ in COLUMNS), *cells]
        write_whole(summary, "".join(f"| {' | '.join(line)} |\n" for line in lines).encode())


def _build_model(
    printer: Console,
    model: Model,
    gpus: list[str],
    precision: Precision,
    builder: str,
    out: Path,
    images: Path | None,
    force: bool,
    settings: Config,
) -> list[Row]:
    rows: list[Row] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=printer, transient=True) as bar:
        for network in model.networks:
            task = bar.add_task(f"{model.folder}/{network.name} ONNX", total=None)
            onnx = ensure(model, network, precision, out, settings, images)
            bar.update(task, description=f"{model.folder}/{network.name} engines")

            def progress(phase: str, done: int, total: int, task: TaskID = task) -> None:
                if phase.startswith("Building engine"):
                    bar.update(task, completed=done, total=total)

            outcomes = build_engines(
                model=model.name,
                network=network.name,
                precision=precision,
                gpu_names=gpus,
                onnx=onnx.path,
                config=settings,
                root=out,
                builder=builder,
                force=force,
                progress=progress,
            )
            title = f"{model.folder}/{network.name}"
            rows += [(title, gpu, outcome) for gpu, outcome in zip(gpus, outcomes, strict=True)]
            bar.remove_task(task)
    return rows


def _cells(row: Row, settings: Config) -> tuple[str, ...]:
    name, gpu, outcome = row
    record = outcome.manifest
    share = record.came_out.precision_share if record else None
    plan = record.made_for.memory_plan if record else None
    return (
        name,
        gpu,
        settings.gpu(gpu).compute_capability,
        outcome.state,
        outcome.path.name,
        f"{share.half}/{share.compute_layers}" if share else "",
        f"{share.int8}/{share.compute_layers}" if share else "",
        f"{plan.activation_bytes / 2**20:.0f} + {plan.weights_bytes / 2**20:.0f} MiB" if plan else "",
        record.executed if record else "",
    )
