"""`trtkit export`: each network exported, with the figures of its check."""

from __future__ import annotations

from pathlib import Path

from trtkit import config as configuration
from trtkit import models
from trtkit.export.parity import worst
from trtkit.export.run import Exported, export
from trtkit.report.console import console


def show(
    model: str,
    precision: str,
    weights: Path | None,
    style: str | None,
    out: Path,
    images: Path | None,
    force: bool,
    config: Path | None,
) -> None:
    """Raises the first network's error; the networks before it stand."""
    chosen = models.get(model).styled(style)
    settings = configuration.load(config)
    printer = console()
    for network in chosen.networks:
        with printer.status(f"exporting {chosen.folder}/{network.name} ({precision})"):
            done = export(chosen, network, precision, out, settings, weights, images, force)
        printer.print(sentence(done))


def sentence(done: Exported) -> str:
    """One line: the file, its size, its weights, and the worst figure of each check."""
    record = done.manifest
    weights = record.made_of.weights
    note = f" ({weights.note})" if weights.note else ""
    state = f"{done.seconds:.1f} s" if done.made else "up to date"
    figures = []
    for check, reference in (("against_source", "its source network"), ("against_fp32", "FP32")):
        if check in record.came_out.checks:
            label, value = worst(record.came_out.checks[check], "max")
            mean = worst(record.came_out.checks[check], "mean")[1]
            figures.append(f"at most {value:g} grey levels from {reference} (at {label}; mean {mean:.4f})")
    return "  ".join(
        [
            str(done.path),
            f"{record.came_out.size / 1e6:.1f} MB",
            f"{weights.kind} weights{note}",
            *figures,
            f"[{state}]",
        ]
    )
