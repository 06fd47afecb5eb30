"""The artifacts of a model brought to the weights that a verb uses, and the model as it then is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trtkit import artifacts, manifest, models
from trtkit.config import Config
from trtkit.errors import MissingComponent, Mistake, TrtkitError
from trtkit.export.choose import EMBEDDED, FILE, OFFICIAL, Chosen, choose, is_the_snapshot
from trtkit.files import sha256
from trtkit.models.imported import chain_file
from trtkit.models.imported.model import in_use
from trtkit.models.spec import Model

if TYPE_CHECKING:
    from trtkit.export.frozen.run import Imported
    from trtkit.export.run import Exported

UNSET = Path("embedded")
"""Folder under the artifacts where nothing lies: what is loaded from there comes from the package."""


@dataclass(frozen=True)
class Ready:
    """The model as its artifacts have it, the settings that know its networks, where they lie, and which weights they
    are, for people; `notes` say what else they should know, such as what could not be imported."""

    model: Model
    config: Config
    root: Path
    sentence: str
    imported: list[Imported] = field(default_factory=list)
    exported: list[Exported] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def make(
    name: str,
    style: str | None,
    given: str | None,
    precision: str,
    root: Path,
    config: Config,
    images: Path | None = None,
    force: bool = False,
    tf_python: Path | None = None,
) -> Ready:
    """Export every network of the model from the weights `given` (--weights) names, or the best there are.

    Raises the first network's error; the networks before it stand.
    """
    model = models.get(name).styled(style)
    chosen = choose(model, given)
    return _make(model, chosen, precision, root, config, images, force, tf_python)


def _make(
    model: Model,
    chosen: Chosen,
    precision: str,
    root: Path,
    config: Config,
    images: Path | None = None,
    force: bool = False,
    tf_python: Path | None = None,
) -> Ready:
    # Imported here: they bring onnx, which infer does not need for weights that are exported already.
    from trtkit.export.beside import bring
    from trtkit.export.frozen.run import import_graph
    from trtkit.export.run import ensure, export

    graph = chosen.graph(model)
    folder = root / model.folder
    if graph is not None and model.frozen is not None:
        done = import_graph(
            folder, model.name, model.style, graph, model.frozen.inputs, model.frozen.outputs, tf_python, images, force
        )
        used, settings = in_use(model.name, model.style, root, config)
        exported = [ensure(used, network, precision, root, settings, images) for network in used.networks]
        return Ready(used, settings, root, chosen.sentence, [done], exported)
    if model.frozen is not None and chosen.path is not None and chosen.path.is_dir():
        raise Mistake(f"--weights {chosen.path} holds no {model.frozen.file_name}; name a folder or file that has it")
    exported = []
    for network in model.networks:
        weights = None if chosen.kind == EMBEDDED else chosen.weights(model, network.name)
        exported.append(export(model, network, precision, root, config, weights, images, force))
    # From here on the model's own networks are in use, no longer a chain that was imported before.
    chain_file.path_in(folder).unlink(missing_ok=True)
    sides, notes = bring(model, chosen, folder, images, force, tf_python)
    used, settings = in_use(model.name, model.style, root, config, chosen.kind, chosen.path)
    more = used.networks[len(model.networks) :]
    exported += [ensure(used, network, precision, root, settings, images) for network in more]
    return Ready(used, settings, root, chosen.sentence, sides, exported, notes)


def ready(
    name: str,
    style: str | None,
    given: str | None,
    root: Path,
    config: Config,
    images: Path | None = None,
    tf_python: Path | None = None,
    publish: bool = True,
) -> Ready:
    """What infer and build start from. Artifacts that were made of a file of the user's are used as they are; pulled
    official weights are exported if the artifacts are of others; else it is what there is, or what is in the package.

    Without `publish` embedded weights come straight from the package and nothing under `root` changes for them.
    """
    if name not in models.NAMES:
        model, settings = in_use(name, style, root, config)
        return Ready(model, settings, root, f"imported from {model.title}")
    model = models.get(name).styled(style)
    kind, sums = _made_of(model, root)
    if given is None and kind == FILE:
        used, settings = in_use(name, style, root, config, FILE)
        return Ready(used, settings, root, f"weights of your own, exported to {root / model.folder}")
    if given == OFFICIAL and kind == OFFICIAL and _snapshot_is_gone(model):
        given = None
    chosen = choose(model, given)
    if chosen.kind == EMBEDDED:
        return _embedded(model, chosen, given, kind, root, config, publish)
    if chosen.kind == OFFICIAL and kind == OFFICIAL and is_the_snapshot(chosen, sums):
        used, settings = in_use(name, style, root, config, OFFICIAL, chosen.path)
        return Ready(used, settings, root, chosen.sentence)
    try:
        return _make(model, chosen, "fp32", root, config, images, False, tf_python)
    except MissingComponent as error:
        if given is not None:
            raise
        raise MissingComponent(f"{error}; or use the weights in the package with --weights embedded") from error


def _snapshot_is_gone(model: Model) -> bool:
    """True if the snapshot that official artifacts were made of is not there any more: they are enough."""
    try:
        choose(model, OFFICIAL)
    except Mistake:
        return True
    return False


def _embedded(
    model: Model, chosen: Chosen, given: str | None, kind: str | None, root: Path, config: Config, publish: bool
) -> Ready:
    if given is None and kind == OFFICIAL:
        used, settings = in_use(model.name, model.style, root, config, OFFICIAL)
        return Ready(used, settings, root, f"official weights, exported to {root / model.folder}")
    if given is None or kind in (None, EMBEDDED):
        return Ready(model, config, root, chosen.sentence)
    if not publish:
        return Ready(model, config, root / UNSET, chosen.sentence)
    from trtkit.export.beside import forget
    from trtkit.export.run import unpack

    for network in model.networks:
        unpack(model, network, root)
    chain_file.path_in(root / model.folder).unlink(missing_ok=True)
    forget(model, root / model.folder)
    return Ready(model, config, root, chosen.sentence)


def _made_of(model: Model, root: Path) -> tuple[str | None, set[str]]:
    """(kind of the weights that the artifacts in use were made of, their sha256); (None, …) where there are none."""
    chain = chain_file.read(root / model.folder)
    if chain is not None:
        return chain.weights.kind, {chain.weights.sha256}
    found = []
    for network in model.networks:
        path = artifacts.onnx_path(root, model.folder, network.name, "fp32")
        # A damaged manifest is judged, with its sentence, by whoever loads the file.
        with suppress(TrtkitError):
            found.append(manifest.read(path).made_of.weights)
    sums = {weights.sha256 for weights in found} | _brought(model, root / model.folder)
    return (found[0].kind if found else None), sums


def _brought(model: Model, folder: Path) -> set[str]:
    """sha256 of what was imported and copied from beside the weights."""
    sums = {sha256(folder / name) for name in model.side_files if (folder / name).is_file()}
    for side in model.sides:
        with suppress(TrtkitError):
            record = chain_file.read(folder, chain_file.name_of(side.name))
            sums |= {record.weights.sha256} if record is not None else set()
    return sums
