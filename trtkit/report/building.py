"""`trtkit build`: a row a GPU asked for, a file a compute capability."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from trtkit import config as configuration
from trtkit import models
from trtkit.build_engines.precision_choice import best, enforce_tolerance
from trtkit.build_engines.run import Outcome, build_engines
from trtkit.calib.standing import why_not_int8
from trtkit.calib.target import Target
from trtkit.config import Config, Precision
from trtkit.errors import Mistake
from trtkit.export.ready import ready
from trtkit.export.run import ensure
from trtkit.files import check_writable, write_whole
from trtkit.models.spec import Model
from trtkit.report.build_options import check_any_int8, check_options
from trtkit.report.console import console, remarks, table

COLUMNS = ("network", "GPU", "cc", "state", "file", "Half", "Int8", "activations + weights", "executed")

Row = tuple[str, str, Outcome]
"""MODEL/NETWORK, the GPU asked for, what came of it."""


@dataclass(frozen=True)
class Wish:
    """What every network is built with; `precision` 'auto' is decided for each network and GPU."""

    precision: Precision | Literal["auto"]
    builder: str
    out: Path
    images: Path | None
    force: bool
    accept_loss: bool
    version_compatible: bool = False


def show(
    names: list[str],
    gpus: list[str],
    style: str | None,
    weights: str | None,
    wish: Wish,
    config: Path | None,
    summary: Path | None,
) -> None:
    """Build every network of `names` (default: all models) for every GPU of `gpus`, then print the table.

    Raises the first error; engines finished before it stand.
    """
    settings = configuration.load(config)
    check_options(wish.precision, wish.images, wish.accept_loss, weights)
    if not gpus:
        raise Mistake(f"--gpu is missing; name one or more of: {', '.join(settings.gpus)}")
    for gpu in gpus:
        settings.gpu(gpu)
    if summary is not None:
        check_writable(summary)
    began = time.perf_counter()
    printer, aside = console(), remarks()
    rows: list[Row] = []
    notes: list[str] = []
    # With no names every model is built, which a style narrows to those that have it.
    chosen = names or [name for name in models.NAMES if not style or models.get(name).styles]
    for made in [ready(name, style, weights, wish.out, settings, wish.images) for name in chosen]:
        aside.print(f"{made.model.folder}: {made.sentence}")
        rows += _build_model(aside, made.model, gpus, wish, made.config, notes)
    cells = [_cells(row, settings) for row in rows]
    shown = table(*COLUMNS)
    for line in cells:
        shown.add_row(*line)
    printer.print(shown)
    notes += [row[2].sentence for row in rows if row[2].state == "served by onnxruntime"]
    notes += [note for row in rows if (note := memory_note(row, settings))]
    for sentence in dict.fromkeys(notes):
        aside.print(sentence)
    files = {row[2].path for row in rows}
    printer.print(f"{len(rows)} rows, {len(files)} files under {wish.out}, {time.perf_counter() - began:.1f} s")
    if summary is not None:
        lines = [COLUMNS, tuple("---" for _ in COLUMNS), *cells]
        write_whole(summary, "".join(f"| {' | '.join(line)} |\n" for line in lines).encode())


def _build_model(
    aside: Console, model: Model, gpus: list[str], wish: Wish, settings: Config, notes: list[str]
) -> list[Row]:
    """Adds to `notes` why 'auto' chose as it did, what has no INT8, and what was made unasked."""
    rows: list[Row] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=aside, transient=True, disable=not aside.is_terminal) as bar:
        targets = [Target(model, network, wish.out, settings) for network in model.networks]
        if wish.precision == "int8":
            check_any_int8(targets, gpus)
        for target in targets:
            network = target.spec
            task = bar.add_task(f"{target.name} ONNX", total=None)
            precisions = {gpu: _precision(target, gpu, wish, notes) for gpu in gpus}

            def progress(phase: str, done: int, total: int, task: TaskID = task) -> None:
                if phase.startswith("Building engine"):
                    bar.update(task, completed=done, total=total)

            outcomes: dict[str, Outcome] = {}
            for precision in dict.fromkeys(precisions.values()):
                chosen = [gpu for gpu in gpus if precisions[gpu] == precision]
                bar.update(task, description=f"{target.name} ONNX", completed=0, total=None)
                onnx = _onnx(target, precision, wish, notes)
                bar.update(task, description=f"{target.name} engines")
                made = build_engines(
                    model=model.name,
                    network=network.name,
                    precision=precision,
                    gpu_names=chosen,
                    onnx=onnx,
                    config=settings,
                    root=wish.out,
                    builder=wish.builder,
                    force=wish.force,
                    version_compatible=wish.version_compatible,
                    progress=progress,
                )
                outcomes |= dict(zip(chosen, made, strict=True))
            rows += [(target.name, gpu, outcomes[gpu]) for gpu in gpus]
            bar.remove_task(task)
    return rows


def _precision(target: Target, gpu: str, wish: Wish, notes: list[str]) -> Precision:
    if wish.precision == "int8" and (why := why_not_int8(target)) is not None:
        notes.append(f"{why}; built in FP16")
        return "fp16"
    if wish.precision != "auto":
        return wish.precision
    choice = best(target, gpu, wish.builder)
    notes.append(choice.sentence)
    return choice.precision


def _onnx(target: Target, precision: Precision, wish: Wish, notes: list[str]) -> Path:
    """The file to build from. Raises Mistake or CheckFailed for an INT8 form that is missing, stale or too far off."""
    if precision == "int8":
        enforce_tolerance(target, wish.accept_loss)
        path, note = target.onnx("int8"), target.exact.note
    else:
        made = ensure(target.model, target.spec, precision, wish.out, target.config, wish.images)
        path, note = made.path, made.note
    notes += [f"note: {note}"] if note else []
    return path


def memory_note(row: Row, settings: Config) -> str | None:
    """What to know of an engine that needs more memory than the card has."""
    name, gpu, outcome = row
    record, card = outcome.manifest, settings.gpu(gpu)
    plan = record.made_for.memory_plan if record else None
    if record is None or plan is None or plan.activation_bytes + plan.weights_bytes <= card.memory_gib << 30:
        return None
    needed = (plan.activation_bytes + plan.weights_bytes) / 2**30
    return (
        f"note: {name} needs {needed:.1f} GiB at its profiles' largest, and {gpu} ({card.title}) has "
        f"{card.memory_gib} GiB; make max smaller under models.{record.model} in engines.yaml"
    )


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
