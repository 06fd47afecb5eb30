"""The tables of `bench serve`: ratios first."""

from __future__ import annotations

from statistics import median

from rich.console import Console

from trtkit.bench.serve import ALONE, SERVER, UNBATCHED, Report
from trtkit.report.console import table
from trtkit.runtime.slots import mib


def render(report: Report, printer: Console) -> None:
    settings = report.settings
    sizes = ", ".join(f"{width}x{height}" for height, width in report.pictures)
    printer.print(f"{settings.model} on {report.device}; {report.host}; JPEGs of {sizes}")
    if settings.processes > 1:
        printer.print(
            f"the servers have {settings.processes} processes each for the host work, beside that of the network"
        )
    _lone(report, printer)
    _many(report, printer)
    _gain(report, printer)
    printer.print(
        f"worst difference from the pipeline alone: {report.worst_difference} grey levels; "
        f"the server was ready {report.ready_after:.1f} s after its start"
    )
    if report.gpu_bytes:
        printer.print(f"GPU memory in use, all processes: {mib(report.gpu_bytes)}")


def _lone(report: Report, printer: Console) -> None:
    settings = report.settings
    requests = len(report.lone[SERVER].seconds)
    shown = table(
        "",
        "of the pipeline",
        "p50 ms",
        "p90",
        "p99",
        title=f"\nOne client, {requests} requests in {settings.rounds} rounds: {report.overhead * 1e3:+.1f} ms at p50",
    )
    for name, samples in report.lone.items():
        p50, p90, p99 = (f"{samples.percentile(p) * 1e3:.1f}" for p in (50, 90, 99))
        shown.add_row(name, f"{samples.p50 / report.lone[ALONE].p50:.2f}", p50, p90, p99)
    printer.print(shown)
    printer.print(f"the host's share of a picture: {report.host_share:.0%}; the network's: {1 - report.host_share:.0%}")


def _many(report: Report, printer: Console) -> None:
    settings = report.settings
    title = f"\n{settings.clients} clients: {report.of_pipeline:.0%} of the pipeline's own batched throughput"
    shown = table("", "of the pipeline", "pictures/s", "p50 ms", "p90", "p99", title=title)
    for name, found in report.many.items():
        if name == UNBATCHED and report.batch == 1:
            continue
        times = report.latency.get(name)
        latency = [f"{times.percentile(p) * 1e3:.1f}" for p in (50, 90, 99)] if times else ["", "", ""]
        ratio = median(one / alone for one, alone in zip(found, report.many[ALONE], strict=True))
        shown.add_row(name, f"{ratio:.1%}", f"{median(found):.1f}", *latency)
    printer.print(shown)
    cores = ", ".join(f"{name} {used:.2f}" for name, used in report.cores.items())
    printer.print(f"cores in use, of {report.host}: {cores}")
    whole = sum(report.stages.values())
    stages = ", ".join(f"{stage} {seconds / whole:.0%}" for stage, seconds in report.stages.items())
    printer.print(f"where a request's time goes, waits included: {stages}")


def _gain(report: Report, printer: Console) -> None:
    runs = ", ".join(f"{count} of {size}" for size, count in sorted(report.batches.items()))
    printer.print(
        f"\nBatches: {report.mean_batch:.2f} pictures a run, {report.mean_batch / report.batch:.0%} of the largest "
        f"({report.batch}); runs: {runs}"
    )
    if report.own_gain is None:
        printer.print("batching is off: the largest batch is 1")
        return
    printer.print(
        f"gain from batching: server {report.gain:.2f}, backend alone {report.own_gain:.2f} "
        f"(batch {report.batch} over batch 1: {median(report.own[report.batch]):.1f} over {median(report.own[1]):.1f} "
        f"pictures/s); the server has {report.gain / report.own_gain:.2f} of it, the host's share is "
        f"{report.host_share:.0%}"
    )
