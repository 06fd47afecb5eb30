"""`trtkit models`: the models, the weights in the package and the official ones, and what serves each GPU."""

from __future__ import annotations

from pathlib import Path

from trtkit import config as configuration
from trtkit import manifest, models
from trtkit.report.console import console, table


def show(config: Path | None) -> None:
    settings = configuration.load(config)
    printer = console()
    shown = table("model", "network", "input", "output", "engines in", "weights in the package", title="Models")
    for name in models.NAMES:
        model = models.get(name)
        for network in model.networks:
            record = manifest.read(model.embedded_onnx(network.name)).made_of.weights
            shapes = [
                ", ".join(f"{t.name} {t.dtype} [{','.join(map(str, t.shape))}] {t.channels or ''}".strip() for t in ts)
                for ts in (network.inputs, network.outputs)
            ]
            precisions = ", ".join(settings.network(name, network.name).precisions)
            shown.add_row(f"{name} ({model.title})", network.name, *shapes, precisions, record.note)
    printer.print(shown)
    printer.print()
    official = table("model", "on the hub", "fetched by", "styles (--style)", title="Official weights")
    for name in models.NAMES:
        model = models.get(name)
        official.add_row(name, model.official_id, f"trtkit pull {name}", ", ".join(model.styles))
    printer.print(official)
    printer.print()
    gpus = table("--gpu", "card", "compute capability", "served by", "note", title="GPUs")
    for name, gpu in settings.gpus.items():
        gpus.add_row(name, gpu.title, gpu.compute_capability, ", ".join(gpu.served_by), gpu.note)
    printer.print(gpus)
