"""`trtkit calibrate`: scales and Q/DQ ONNX of each network, what they cost, and which layers cost most."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trtkit import config as configuration
from trtkit.calib import chart
from trtkit.calib.run import Calibrated, Wish, calibrate
from trtkit.calib.standing import check_any_quantized, why_not_int8
from trtkit.calib.target import Target
from trtkit.export.ready import ready
from trtkit.files import write_whole
from trtkit.report.console import console, remarks, table

_FEW, _NAMED = 32, 5


def show(model: str, style: str | None, weights: str | None, out: Path, wish: Wish, config: Path | None) -> None:
    """Raises the first network's error; the networks before it stand."""
    made = ready(model, style, weights, out, configuration.load(config))
    printer, aside = console(), remarks()
    aside.print(f"{made.model.folder}: {made.sentence}")
    targets = [Target(made.model, spec, made.root, made.config) for spec in made.model.networks]
    check_any_quantized(targets)
    for target in targets:
        if (why := why_not_int8(target)) is not None:
            aside.print(why)
            continue
        done = _with_a_bar(aside, target, wish)
        if target.exact.note:
            aside.print(f"note: {target.exact.note}")
        _print(printer, aside, target, done)
        if wish.sensitivity and done.costs:
            _print_costs(printer, target, done)


def _with_a_bar(aside: Console, target: Target, wish: Wish) -> Calibrated:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=aside, transient=True, disable=not aside.is_terminal) as bar:
        task = bar.add_task(f"{target.name}", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{target.name} {what}", completed=done, total=total)

        return calibrate(target, wish, progress)


def _print(printer: Console, aside: Console, target: Target, done: Calibrated) -> None:
    found, flags = done.scales, done.manifest.made_with.flags
    count = len(found.key.images)
    source = "drawn portraits (seeded; no --images was given)" if found.image_source == "drawn" else "images"
    made = f"made ({done.reason})" if done.reason else "reused: nothing has changed"
    height, width = found.key.size
    printer.print(
        f"{target.scales}  {len(found.tensors)} tensors, {found.key.method}, "
        f"{count} {source} at {height}x{width}  {made}"
    )
    if found.image_source == "folder" and count < _FEW:
        few = "one image is no calibration" if count == 1 else f"{count} images are few"
        aside.print(f"note: {few}; what they do not show is clipped, so give a hundred or more of all kinds")
    if done.unseen:
        aside.print(unseen_text(target, done.unseen, count))
    int8, total = len(flags["int8"]), len(flags["int8"]) + len(flags["fp16"])
    printer.print(
        f"{target.onnx('int8')}  {done.manifest.came_out.size / 1e6:.1f} MB, {int8} of {total} convolutions Int8, "
        f"against FP32: {figures_text(done.manifest.came_out.checks['against_fp32'])}  [{done.seconds:.1f} s]"
    )
    if done.worst:
        printer.print(f"left in FP16 as the dearest: {', '.join(done.worst)}")
    if done.excesses:
        aside.print(
            f"past the tolerance in engines.yaml: {'; '.join(done.excesses)}; "
            f"leave the dearest layers in FP16 with: {target.keep_more_command}"
        )


def unseen_text(target: Target, unseen: list[str], count: int) -> str:
    """'3 of 40 images show no … and count for nothing: a.jpg, b.jpg, …'"""
    sought = target.studied.sought if target.studied is not None else "anything"
    named = ", ".join(unseen[:_NAMED]) + (", …" if len(unseen) > _NAMED else "")
    return f"note: {len(unseen)} of {count} images do not show {sought} and count for nothing: {named}"


def figures_text(figures: dict[str, float]) -> str:
    """'mean error 0.31 grey levels, SAD 0.44 %' or 'PSNR 41.20 dB (least 38.10), SSIM 0.991'."""
    if "vertices_percent" in figures:
        return (
            f"vertices {figures['vertices_percent']:.2f} % of the face's width apart "
            f"(worst face {figures['worst_vertices_percent']:.2f} %)"
        )
    if "sad_percent" in figures:
        return f"mean error {figures['mae']:.2f} grey levels, SAD {figures['sad_percent']:.2f} % of all alpha"
    if "psnr" in figures:
        return f"PSNR {figures['psnr']:.2f} dB (least {figures['least_psnr']:.2f}), SSIM {figures['ssim']:.4f}"
    return f"mean error {figures['mae_percent']:.3f} % of the output's largest value"


def _print_costs(printer: Console, target: Target, done: Calibrated) -> None:
    costs = done.costs or []
    grey = "grey levels" if target.spec.outputs[0].dtype == "uint8" else "output units"
    unit = target.studied.unit if target.studied is not None else grey
    shown = table("layer", f"cost alone, {unit}", "in this form")
    kept = done.manifest.made_with.flags["fp16"]
    for cost in costs:
        shown.add_row(cost.name, f"{cost.cost:.4f}", "FP16" if cost.name in kept else "Int8")
    printer.print(shown)
    write_whole(target.chart, chart.bar_chart(f"{target.name}: what INT8 costs, layer by layer", costs, kept, unit))
    printer.print(f"{target.chart}")
