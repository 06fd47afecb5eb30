"""`trtkit bench …`: run a bench, print its table, keep its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trtkit.bench import host
from trtkit.files import write_whole
from trtkit.report.console import console


def show_host(photo: Path | None, rounds: int, json_file: Path | None) -> None:
    report = host.bench_host(photo, rounds)
    host.render(report, console())
    keep(host.as_dict(report), json_file)


def keep(figures: dict[str, Any], json_file: Path | None) -> None:
    """Write the figures as JSON where --json asks for it."""
    if json_file is not None:
        write_whole(json_file, (json.dumps(figures, indent=2) + "\n").encode())
