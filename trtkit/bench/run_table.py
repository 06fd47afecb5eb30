"""The tables of `bench run`: ratios first."""

from __future__ import annotations

from rich.console import Console

from trtkit.bench.contenders import ALONE, OURS
from trtkit.bench.file_runs import FileRun
from trtkit.bench.run import Report
from trtkit.bench.whole_files import WholeFiles
from trtkit.report.console import table
from trtkit.runtime.slots import mib


def render(report: Report, printer: Console) -> None:
    printer.print(f"{report.settings.model}/{report.network}, on {report.device}")
    _steps(report, printer)
    _throughput(report, printer)
    if report.files is not None:
        _files(report.files, printer)
    if report.peak_memory:
        taken = ", ".join(f"{name} {mib(size)}" for name, size in report.memory.items())
        printer.print(f"GPU memory taken: {taken}; peak of the process {mib(report.peak_memory)}")
    if report.agreement:
        worst = ", ".join(f"{name} {value:g}" for name, value in report.agreement.items())
        printer.print(f"worst difference from ours, {report.unit}: {worst}")


def _steps(report: Report, printer: Console) -> None:
    shown = table(
        "batch",
        "network step, host to host",
        "of ours",
        "p50 ms",
        "p90",
        "p99",
        "jitter",
        title="\nLatency (of ours: how many times as long as trtkit takes)",
    )
    for batch, found in report.steps.items():
        ours = found[OURS].p50
        for name, samples in found.items():
            p50, p90, p99 = (f"{samples.percentile(p) * 1e3:.2f}" for p in (50, 90, 99))
            shown.add_row(str(batch), name, f"{samples.p50 / ours:.2f}", p50, p90, p99, f"{samples.jitter:.1%}")
    printer.print(shown)
    for batch, stages in report.stages.items():
        whole = sum(stages.values())
        parts = ", ".join(f"{name} {seconds / whole:.1%} ({seconds * 1e3:.3f} ms)" for name, seconds in stages.items())
        printer.print(f"on the GPU at batch {batch}: {parts}")


def _throughput(report: Report, printer: Console) -> None:
    shown = table("batch", "slots busy", "of run alone", "images/s", title="\nThroughput")
    for batch, found in report.throughput.items():
        alone = report.alone.get(batch)
        for slots, value in found.items():
            shown.add_row(str(batch), str(slots), f"{value / alone:.1%}" if alone else "", f"{value:.1f}")
        if alone:
            shown.add_row(str(batch), ALONE, "100.0%", f"{alone:.1f}")
    printer.print(shown)


def _files(files: WholeFiles, printer: Console) -> None:
    title = f"File to file ({files.taken})"
    if files.recipe_over_ours:
        found = files.recipe_over_ours
        title += f": {found.median:.1f} times the throughput of the articles' way"
        title += f" ({found.least:.1f} to {found.greatest:.1f} in a round)" if files.rounds > 1 else ""
    shown = table("", "seconds", "stages, seconds summed over threads", title=f"\n{title}")
    for name, run in files.runs.items():
        shown.add_row(name, f"{run.seconds:.2f}", _stages(run))
    printer.print(shown)


def _stages(run: FileRun) -> str:
    whole = sum(run.stages.values())
    return ", ".join(f"{name} {seconds:.2f} ({seconds / whole:.0%})" for name, seconds in run.stages.items())
