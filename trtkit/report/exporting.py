"""`trtkit export`: each network exported, with the figures of its check."""

from __future__ import annotations

from pathlib import Path

from trtkit import config as configuration
from trtkit import models
from trtkit.errors import Mistake
from trtkit.export.frozen.run import Imported, import_graph
from trtkit.export.parity import worst
from trtkit.export.photographs import files_in
from trtkit.export.prepared import Exported
from trtkit.export.ready import make
from trtkit.export.run import ensure
from trtkit.files import sha256
from trtkit.models.imported.model import in_use
from trtkit.models.spec import Weights
from trtkit.report.console import console, remarks


def show(
    model: str,
    precision: str,
    weights: str | None,
    style: str | None,
    out: Path,
    images: Path | None,
    force: bool,
    config: Path | None,
    tf_python: Path | None,
) -> None:
    """Raises the first network's error; nothing is written then."""
    if images is not None:
        files_in(images)  # a wrong name is said even where there is nothing to check
    settings = configuration.load(config)
    printer, aside = console(), remarks()
    with aside.status(f"exporting {model} ({precision})"):
        made = make(model, style, weights, precision, out, settings, images, force, tf_python)
    aside.print(f"{made.model.folder}: {made.sentence}")
    for imported in made.imported:
        for line in import_lines(imported):
            printer.print(line)
    for done in made.exported:
        printer.print(sentence(done))
    for note in made.notes:
        aside.print(note)


def show_any_graph(
    graph: Path,
    inputs: list[str],
    outputs: list[str],
    precision: str,
    out: Path,
    images: Path | None,
    force: bool,
    config: Path | None,
    tf_python: Path | None,
) -> None:
    """Import a frozen graph of any model; its artifacts lie in a folder of the file's name."""
    if not graph.is_file():
        raise Mistake(f"--any-graph {graph} does not exist; name a frozen TensorFlow graph (.pb)")
    name = graph.stem.partition("-")[0]
    if name in models.NAMES:
        raise Mistake(
            f"--any-graph {graph}: its artifacts would lie in {out / graph.stem}, where those of trtkit's own model "
            f"are; give the file another name, or export it as that model's (trtkit export {name} --weights {graph})"
        )
    for option, names in (("--input", inputs), ("--output", outputs)):
        if not any("=" not in name for name in names):
            raise Mistake(f"{option} is missing; name a node of {graph}, such as the ones its authors feed and fetch")
    if images is not None:
        files_in(images)
    settings = configuration.load(config)
    printer = console()
    weights = Weights("file", graph, sha256(graph))
    with remarks().status(f"importing {graph}"):
        done = import_graph(out / graph.stem, graph.stem, None, weights, inputs, outputs, tf_python, images, force)
    for line in import_lines(done):
        printer.print(line)
    model, settings = in_use(graph.stem, None, out, settings)
    for network in model.networks:
        printer.print(sentence(ensure(model, network, precision, out, settings, images)))


def import_lines(done: Imported) -> list[str]:
    """The chain's file and check, its networks, and what stays on the host and why."""
    record = done.record
    figures = record.checks["against_tensorflow"]
    label, value = worst(figures, "max")
    state = f"{done.seconds:.1f} s" if done.made else "up to date"
    found = f"at most {value:.2g} grey levels from TensorFlow (at {label}; mean {worst(figures, 'mean')[1]:.4f})"
    networks = ", ".join(record.networks) or "none that can be cut out: all of it runs in ONNX Runtime"
    lines = [f"{done.chain}  {record.graph}  {found}  [{state}]", f"networks: {networks}"]
    return [*lines, *(f"on the host: {node.operator} {node.name}: {node.why}" for node in record.on_host)]


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
            unit = record.came_out.checks.get("unit", "grey levels")
            figures.append(f"at most {value:.4g} {unit} from {reference} (at {label}; mean {mean:.4g})")
    return "  ".join(
        [
            str(done.path),
            f"{record.came_out.size / 1e6:.1f} MB",
            f"{weights.kind} weights{note}",
            *figures,
            f"[{state}]",
        ]
    )
