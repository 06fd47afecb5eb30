"""`trtkit evaluate`: a row a precision, ratios first, and the image that suffers most."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trtkit import config as configuration
from trtkit.calib import images, judge
from trtkit.calib.images import ImageSet
from trtkit.calib.standing import check_any_quantized, why_not_int8
from trtkit.calib.target import Target
from trtkit.config import Precision
from trtkit.errors import Mistake
from trtkit.evaluate.run import Evaluation, evaluate
from trtkit.export.ready import ready
from trtkit.report.calibrating import figures_text, unseen_text
from trtkit.report.console import console, remarks, table


def show(
    model: str,
    style: str | None,
    weights: str | None,
    precision: str,
    folder: Path | None,
    limit: int | None,
    backend: str,
    device: int,
    batch: int,
    root: Path,
    config: Path | None,
) -> None:
    """Raises the first network's error; the records of the networks before it are kept."""
    precisions = parse_precisions(precision)
    made = ready(model, style, weights, root, configuration.load(config))
    printer, aside = console(), remarks()
    aside.print(f"{made.model.folder}: {made.sentence}")
    targets = [Target(made.model, spec, made.root, made.config) for spec in made.model.networks]
    if "int8" in precisions:
        check_any_quantized(targets)
    for target in targets:
        why = why_not_int8(target) if "int8" in precisions else None
        possible = [precision for precision in precisions if precision != "int8" or why is None]
        if why is not None:
            aside.print(why)
        if not possible:
            continue
        found = _with_a_bar(aside, target, possible, _pictures(target, folder, limit), backend, device, batch)
        if target.exact.note:
            aside.print(f"note: {target.exact.note}")
        _print(printer, aside, target, found)


def _pictures(target: Target, folder: Path | None, limit: int | None) -> ImageSet:
    """Those of --images, else scikit-image's photographs; for the networks in the package drawn ones where they know
    no others."""
    if folder is not None:
        return images.from_folder(folder, limit)
    if target.studied is not None and target.exact.manifest.made_of.weights.kind == "embedded":
        return images.drawn(limit, target.studied.draw, held_out=True)
    return images.shipped(limit)


def _with_a_bar(
    aside: Console,
    target: Target,
    precisions: list[Precision],
    pictures: ImageSet,
    backend: str,
    device: int,
    batch: int,
) -> Evaluation:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=aside, transient=True, disable=not aside.is_terminal) as bar:
        task = bar.add_task(target.name, total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{target.name} {what}", completed=done, total=total)

        return evaluate(target, precisions, pictures, backend, device, batch, progress)


def parse_precisions(text: str) -> list[Precision]:
    """'fp32,fp16' → its parts, each once. Raises Mistake naming the one that is none."""
    parts = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    known: tuple[Precision, ...] = get_args(Precision)
    for part in parts:
        if part not in known:
            raise Mistake(f"--precision {text}: '{part}' is not a precision; name some of: {', '.join(known)}")
    if not parts:
        raise Mistake(f"--precision is empty; name some of: {', '.join(known)}")
    return [precision for precision in known if precision in parts]


def _print(printer: Console, aside: Console, target: Target, found: Evaluation) -> None:
    record = found.record
    shape = "x".join(map(str, record.shape))
    slowest = next(iter(record.forms))
    shown = table("precision", f"speed, x {slowest}", "ms a run", "against FP32", "tolerance")
    for name, form in record.forms.items():
        excesses = judge.excesses(form.figures, target.settings, target.spec, name) if form.figures else []
        shown.add_row(
            name,
            f"{record.forms[slowest].seconds / form.seconds:.2f}",
            f"{form.seconds * 1e3:.2f}",
            figures_text(form.figures) if form.figures else "the reference",
            f"passed by {'; '.join(excesses)}" if excesses else "kept" if form.figures else "",
        )
    printer.print(f"{target.name} on {record.backend}: {record.device}, {record.images} images, timed at {shape}")
    printer.print(shown)
    if record.int8_over_fp16 is not None:
        speed = record.int8_over_fp16
        printer.print(
            f"INT8 runs {speed.median:.2f} x as fast as FP16 "
            f"({speed.least:.2f} to {speed.greatest:.2f} in {record.rounds} interleaved rounds)"
        )
    if record.backend == "cpu" and "fp16" in record.forms:
        aside.print("note: a CPU computes FP16 in FP32; its error here says nothing about a GPU's")
    if record.backend in ("cpu", "cuda") and "int8" in record.forms:
        aside.print(
            "note: ONNX Runtime does not run TensorRT's form of INT8 in INT8 throughout; "
            "its speed here says nothing about a TensorRT engine's"
        )
    if found.unseen:
        aside.print(unseen_text(target, found.unseen, record.images + len(found.unseen)))
    unit = f" {target.studied.unit}" if target.studied is not None else ""
    for precision, summary in found.summaries.items():
        printer.print(
            f"{precision}: worst image {summary.worst}, {summary.per_image[summary.worst]:.3g}{unit} on average off"
        )
    if found.summaries and target.worst_picture.is_file():
        printer.print(f"worst image side by side: {target.worst_picture}")
    printer.print(f"kept in {target.evaluation}")
