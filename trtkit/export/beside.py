"""What a pipeline takes of its weights' folder beside the networks: graphs that are imported, files that are copied."""

from __future__ import annotations

from pathlib import Path

from trtkit.errors import MissingComponent, TrtkitError
from trtkit.export.choose import EMBEDDED, Chosen
from trtkit.export.frozen.run import Imported, import_graph
from trtkit.files import write_whole
from trtkit.models.imported import chain_file
from trtkit.models.spec import Model


def bring(
    model: Model, chosen: Chosen, folder: Path, images: Path | None, force: bool, tf_python: Path | None
) -> tuple[list[Imported], tuple[str, ...]]:
    """Import the side graphs of `chosen` into `folder`, all of them or none, and copy its side files there; gives what
    was imported, and why it is done without, for people.

    Raises a graph's error only where --tf-python asks for the import: without it the pipeline does less, and says so.
    """
    forget_files(model, folder)
    for name in model.side_files:
        if (source := chosen.beside(name)) is not None:
            write_whole(folder / name, source.path.read_bytes())
    found: list[Imported] = []
    for side in model.sides:
        graph = chosen.beside(side.file_name)
        if graph is None:
            forget_graphs(model, folder)
            said = f"{chosen.path} holds no {side.file_name}, so {side.without}"
            return [], () if chosen.kind == EMBEDDED else (said,)
        try:
            done = import_graph(
                folder,
                model.name,
                model.style,
                graph,
                side.inputs,
                side.outputs,
                tf_python,
                images,
                force,
                side.name,
                side.shape,
            )
        except TrtkitError as error:
            forget_graphs(model, folder)
            if tf_python is not None:
                raise
            then = f"; then run: trtkit export {model.called}" if isinstance(error, MissingComponent) else ""
            return [], (f"{side.file_name} was not imported, so {side.without}: {error}{then}",)
        found.append(done)
    return found, ()


def forget(model: Model, folder: Path) -> None:
    """What was brought for other weights counts no more."""
    forget_files(model, folder)
    forget_graphs(model, folder)


def forget_others(model: Model, chosen: Chosen, folder: Path) -> None:
    """Side graphs that were imported for other weights than `chosen` count no more."""
    for side in model.sides:
        graph, name = chosen.beside(side.file_name), chain_file.name_of(side.name)
        try:
            record = chain_file.read(folder, name)
        except TrtkitError:
            record = None
        if graph is None or record is None or record.weights.sha256 != graph.sha256:
            chain_file.path_in(folder, name).unlink(missing_ok=True)


def forget_files(model: Model, folder: Path) -> None:
    for name in model.side_files:
        (folder / name).unlink(missing_ok=True)


def forget_graphs(model: Model, folder: Path) -> None:
    for side in model.sides:
        chain_file.path_in(folder, chain_file.name_of(side.name)).unlink(missing_ok=True)
