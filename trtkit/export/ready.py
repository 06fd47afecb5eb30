"""The artifacts of a model brought to the weights that a verb uses, and the model as it then is."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trtkit import artifacts, manifest, models
from trtkit.config import Config
from trtkit.errors import MissingComponent, Mistake, TrtkitError
from trtkit.export import unfinished
from trtkit.export.choose import EMBEDDED, FILE, OFFICIAL, Chosen, choose, is_the_snapshot
from trtkit.files import sha256, written
from trtkit.manifest import WeightsRecord
from trtkit.models.imported import chain_file
from trtkit.models.imported.model import in_use
from trtkit.models.spec import Model

if TYPE_CHECKING:
    from trtkit.export.frozen.run import Imported
    from trtkit.export.prepared import Exported, Prepared

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

    Raises the first network's error; nothing is written before all of them are made and checked.
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
    from trtkit.export.beside import bring, forget_others
    from trtkit.export.frozen.run import import_graph
    from trtkit.export.run import ensure, prepare

    graph = chosen.graph(model)
    folder = root / model.folder
    if graph is not None and model.frozen is not None:
        done = import_graph(
            folder, model.name, model.style, graph, model.frozen.inputs, model.frozen.outputs, tf_python, images, force
        )
        unfinished.clear(folder)
        used, settings = in_use(model.name, model.style, root, config)
        exported = [ensure(used, network, precision, root, settings, images) for network in used.networks]
        return Ready(used, settings, root, chosen.sentence, [done], exported)
    if model.frozen is not None and chosen.path is not None and chosen.path.is_dir():
        raise Mistake(f"--weights {chosen.path} holds no {model.frozen.file_name}; name a folder or file that has it")
    prepared = []
    for network in model.networks:
        weights = None if chosen.kind == EMBEDDED else chosen.weights(model, network.name)
        prepared.append(prepare(model, network, precision, root, config, weights, images, force))
    given = str(chosen.path.absolute()) if chosen.kind == FILE and chosen.path is not None else chosen.kind
    again = _command(model, root, given, precision, images, tf_python)
    exported = _publish(model, root, prepared, again, lambda: forget_others(model, chosen, folder))
    sides, notes = bring(model, chosen, folder, images, force, tf_python)
    used, settings = in_use(model.name, model.style, root, config, chosen.kind, chosen.path)
    more = used.networks[len(model.networks) :]
    exported += [ensure(used, network, precision, root, settings, images) for network in more]
    return Ready(used, settings, root, chosen.sentence, sides, exported, notes)


def _publish(
    model: Model, root: Path, prepared: list[list[Prepared]], command: str, forget_sides: Callable[[], None]
) -> list[Exported]:
    """Give everything its name, or nothing; the last form of each network. `command` does it again, should the process
    be killed meanwhile; `forget_sides` removes what was brought for other weights."""
    folder = root / model.folder
    chain = chain_file.path_in(folder)
    every = [one for forms in prepared for one in forms]
    last = [forms[-1].exported() for forms in prepared]
    if not (any(one.content is not None for one in every) or chain.is_file() or unfinished.marked(folder)):
        return last
    with unfinished.publishing(folder), written([file for one in every for file in one.files()]) as name_them:
        for one in every:
            if not one.stands():
                raise Mistake(f"another export wrote {one.path} meanwhile; run this one again: {command}")
        with unfinished.marked_with(folder, command):
            name_them()
            # From here on the model's own networks are in use, no longer a chain that was imported before.
            chain.unlink(missing_ok=True)
            forget_sides()
    return last


def _command(
    model: Model, root: Path, weights: str, precision: str = "fp32", images: Path | None = None, tf: Path | None = None
) -> str:
    """The export of these weights to `root`, from wherever it is run."""
    words = ["trtkit", "export", model.name, *(["--style", model.style] if model.style else []), "--weights", weights]
    words += ["--precision", precision] if precision != "fp32" else []
    words += ["--images", str(images.absolute())] if images is not None else []
    words += ["--tf-python", str(tf.absolute())] if tf is not None else []
    return shlex.join(words) + artifacts.at_root(root.absolute())


def _check_whole(model: Model, root: Path, there: _Found) -> None:
    """Raise Mistake if weights of other kinds than the package's are there for some networks alone."""
    if there.missing:
        weights = "CHECKPOINT" if there.kind == FILE else OFFICIAL
        raise Mistake(
            f"{root / model.folder} has networks of {there.kind} weights, but none of them for "
            f"{', '.join(there.missing)}; export all of them again: {_command(model, root, weights)} "
            "(or --weights embedded)"
        )


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
    if given is None:
        unfinished.check(root / model.folder)
    there = _made_of(model, root)
    kind = there.kind
    if given is None and kind == FILE:
        _check_whole(model, root, there)
        used, settings = in_use(name, style, root, config, FILE)
        return Ready(used, settings, root, f"weights of your own, exported to {root / model.folder}")
    if given == OFFICIAL and kind == OFFICIAL and _snapshot_is_gone(model):
        given = None
    chosen = choose(model, given)
    if chosen.kind == EMBEDDED:
        return _embedded(model, chosen, given, there, root, config, publish)
    if chosen.kind == OFFICIAL and kind == OFFICIAL and not there.missing and is_the_snapshot(chosen, there.sums):
        used, settings = in_use(name, style, root, config, OFFICIAL, chosen.path)
        return Ready(used, settings, root, chosen.sentence)
    try:
        return _make(model, chosen, "fp32", root, config, images, False, tf_python)
    except MissingComponent as error:
        if given is not None:
            raise
        raise MissingComponent(f"{error}; or use the weights in the package with --weights embedded") from error


def check_one_set(model: Model, root: Path) -> None:
    """Raise Mistake, with the command that mends it, if what lies there of the model is not of one set of weights."""
    unfinished.check(root / model.folder)
    there = _made_of(model, root)
    if there.kind not in (None, EMBEDDED):
        _check_whole(model, root, there)


def _snapshot_is_gone(model: Model) -> bool:
    """True if the snapshot that official artifacts were made of is not there any more: they are enough."""
    try:
        choose(model, OFFICIAL)
    except Mistake:
        return True
    return False


def _embedded(
    model: Model, chosen: Chosen, given: str | None, there: _Found, root: Path, config: Config, publish: bool
) -> Ready:
    if given is None and there.kind == OFFICIAL:
        _check_whole(model, root, there)
        used, settings = in_use(model.name, model.style, root, config, OFFICIAL)
        return Ready(used, settings, root, f"official weights, exported to {root / model.folder}")
    if given is None or there.kind in (None, EMBEDDED):
        if publish:
            unfinished.clear(root / model.folder, lambda: _made_of(model, root).kind in (None, EMBEDDED))
        return Ready(model, config, root, chosen.sentence)
    if not publish:
        return Ready(model, config, root / UNSET, chosen.sentence)
    from trtkit.export.beside import forget
    from trtkit.export.run import unpack

    words = ["trtkit", "build", model.name, *(["--style", model.style] if model.style else []), "--weights", EMBEDDED]
    again = f"{shlex.join(words)}{artifacts.at_root(root.absolute())} --gpu GPU"  # which needs no torch
    prepared = [[unpack(model, network, root)] for network in model.networks]
    _publish(model, root, prepared, again, lambda: forget(model, root / model.folder))
    return Ready(model, config, root, chosen.sentence)


@dataclass(frozen=True)
class _Found:
    """What lies under the artifacts: the kind of the weights in use (None where there are none), the sha256 of all of
    them, and the networks that have none of that kind."""

    kind: str | None
    sums: set[str]
    missing: list[str]


def _made_of(model: Model, root: Path) -> _Found:
    chain = chain_file.read(root / model.folder)
    if chain is not None:
        return _Found(chain.weights.kind, {chain.weights.sha256}, [])
    found: dict[str, WeightsRecord] = {}
    damaged = []
    for network in model.networks:
        path = artifacts.onnx_path(root, model.folder, network.name, "fp32")
        try:
            found[network.name] = manifest.read(path).made_of.weights
        except TrtkitError:
            # A damaged manifest is judged, with its sentence, by whoever loads the file.
            damaged += [network.name] if path.is_file() else []
    kinds = {weights.kind for weights in found.values()}
    kind = next((one for one in (FILE, OFFICIAL, EMBEDDED) if one in kinds), None)
    same = {name for name, weights in found.items() if weights.kind == kind}
    missing = [network.name for network in model.networks if network.name not in {*same, *damaged}]
    sums = {weights.sha256 for weights in found.values()} | _brought(model, root / model.folder)
    return _Found(kind, sums, missing)


def _brought(model: Model, folder: Path) -> set[str]:
    """sha256 of what was imported and copied from beside the weights."""
    sums = {sha256(folder / name) for name in model.side_files if (folder / name).is_file()}
    for side in model.sides:
        with suppress(TrtkitError):
            record = chain_file.read(folder, chain_file.name_of(side.name))
            sums |= {record.weights.sha256} if record is not None else set()
    return sums
