"""`trtkit bench …`: run a bench, print its table, keep its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trtkit.bench import chart, host, run, run_table, serve, serve_chart, serve_table
from trtkit.files import check_writable, write_whole
from trtkit.report.console import console, remarks


def show_host(photo: Path | None, rounds: int, json_file: Path | None) -> None:
    _check(json_file)
    report = host.bench_host(photo, rounds)
    host.render(report, console())
    keep(host.as_dict(report), json_file)


def show_run(settings: run.Settings, json_file: Path | None, chart_file: Path | None) -> None:
    _check(json_file, chart_file)
    report = run.bench_run(settings)
    _note(report.notes)
    run_table.render(report, console())
    keep(run.as_dict(report), json_file)
    if chart_file is not None:
        write_whole(chart_file, chart.draw(report))


def show_serve(settings: serve.Settings, json_file: Path | None, chart_file: Path | None) -> None:
    _check(json_file, chart_file)
    report = serve.bench_serve(settings)
    _note(report.notes)
    serve_table.render(report, console())
    keep(serve.as_dict(report), json_file)
    if chart_file is not None:
        write_whole(chart_file, serve_chart.draw(report))


def _check(*files: Path | None) -> None:
    """What was measured for minutes must not be lost to a wrong name."""
    for file in files:
        if file is not None:
            check_writable(file)


def _note(notes: list[str]) -> None:
    aside = remarks()
    for note in notes:
        aside.print(f"note: {note}")


def keep(figures: dict[str, Any], json_file: Path | None) -> None:
    """Write the figures as JSON where --json asks for it."""
    if json_file is not None:
        write_whole(json_file, (json.dumps(figures, indent=2) + "\n").encode())
