"""The Model and the engines' settings of an imported graph, read off its chain.json."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trtkit import artifacts, manifest, models
from trtkit.config import Config, ModelConfig, NetworkConfig, ShapeRange
from trtkit.errors import CheckFailed, Mistake
from trtkit.models.imported import chain_file
from trtkit.models.imported.chain import Chain
from trtkit.models.imported.chain_file import ChainRecord, NetworkRecord, TensorRecord
from trtkit.models.imported.host import HostWork
from trtkit.models.pipeline import Pipeline
from trtkit.models.spec import Around, Model, NetworkSpec, TensorSpec
from trtkit.runtime.backend import Arrays, Backend

LARGEST_BATCH = 8


def in_use(
    name: str, style: str | None, root: Path, config: Config, kind: str = "embedded", folder: Path | None = None
) -> tuple[Model, Config]:
    """The model as its artifacts under `root` have it: imported where a chain lies there, else its own; with what
    stands around its networks, which are weights of `kind` that were read from `folder` (None: not known any more).

    A name that is no model of trtkit's may be that of a graph imported with --any-graph.
    """
    if name not in models.NAMES:
        record = chain_file.read(root / name)
        if record is not None:
            return _bare(record, root), _with_networks(config, record)
    model = models.get(name).styled(style)  # raises for a name that is neither, naming those there are
    record = chain_file.read(root / model.folder)
    if record is None:
        return (model, config) if model.open_around is None else _with_around(model, root, config, kind, folder)
    return imported(model, record, root), _with_networks(config, record)


def _with_around(model: Model, root: Path, config: Config, kind: str, files: Path | None) -> tuple[Model, Config]:
    """`model` whose pipeline knows where its other files lie, and with the networks of its side graphs if those were
    imported together with the weights in use."""
    folder, opener = root / model.folder, model.open_around
    assert opener is not None
    records = {side.name: chain_file.read(folder, chain_file.name_of(side.name)) for side in model.sides}
    sides = {name: record for name, record in records.items() if record is not None and record.weights.kind == kind}
    copied = {name: folder / name for name in model.side_files if kind != "embedded" and (folder / name).is_file()}
    around = Around(kind, files, {}, copied)

    def open_pipeline(networks: Mapping[str, Backend], options: Mapping[str, Any], limit_megapixels: float) -> Pipeline:
        # A pipeline that runs without a side graph is opened without its networks.
        chains = {
            name: open_chain(side, folder, networks)
            for name, side in sides.items()
            if side.networks.keys() <= networks.keys()
        }
        return opener(networks, options, limit_megapixels, replace(around, chains=chains))

    def sample_inputs(network: str, photographs: list[np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
        for side in sides.values():
            if network in side.networks:
                return network_samples(side, folder, network, photographs)
        return model.sample_inputs(network, photographs, size)

    specs = [_spec(name, network) for side in sides.values() for name, network in side.networks.items()]
    made = replace(model, networks=(*model.networks, *specs), sample_inputs=sample_inputs, open_pipeline=open_pipeline)
    made = replace(made, around=around)
    for side in sides.values():
        config = _with_networks(config, side)
    return made, config


def imported(base: Model, record: ChainRecord, root: Path) -> Model:
    """`base` with the chain's networks in place of its own, and its pipeline on the chain."""
    folder = root / base.folder

    def open_pipeline(networks: Mapping[str, Backend], options: Mapping[str, Any], limit_megapixels: float) -> Pipeline:
        if base.frozen is None:
            raise Mistake(f"{folder / chain_file.NAME} is a graph of its own, which infer has no pipeline for")
        return base.frozen.open_pipeline(open_chain(record, folder, networks), record, options, limit_megapixels)

    def sample_inputs(network: str, photographs: list[np.ndarray], size: tuple[int, int]) -> dict[str, np.ndarray]:
        return network_samples(record, folder, network, photographs)

    specs = tuple(_spec(name, network) for name, network in record.networks.items())
    # How much of a picture the graph looks at is not known: all of it.
    options = base.frozen.served if base.frozen is not None else ()
    made = replace(base, networks=specs, sample_inputs=sample_inputs, open_pipeline=open_pipeline)
    return replace(made, served=options, useful=None)


def open_chain(record: ChainRecord, folder: Path, networks: Mapping[str, Backend]) -> Chain:
    """The chain on loaded networks; its host parts are judged by their manifests before they are loaded."""
    hosts = {}
    for name in record.hosts:
        path = artifacts.onnx_path(folder.parent, folder.name, name, "fp32")
        if manifest.read_verified(path).came_out.sha256 != record.hosts[name]:
            raise CheckFailed(f"{path} is of another import than {folder / chain_file.NAME}; export the model again")
        hosts[name] = HostWork(path)
    return Chain(record.plan, record.outputs, networks, hosts, {tensor.name: tensor.dtype for tensor in record.inputs})


def feed_for(record: ChainRecord, photograph: np.ndarray) -> Arrays:
    """An RGB uint8 photograph as the graph's first input: its own size, or the one that the graph fixes."""
    from trtkit.models.imaging.letterbox import resize

    tensor = record.inputs[0]
    shape = tensor.shape or [None, None, 3]
    height, width = shape[-3], shape[-2]
    if isinstance(height, int) and isinstance(width, int):
        photograph = resize(photograph, (height, width))
    array = photograph.astype(tensor.dtype)
    return {tensor.name: array[None] if len(shape) == 4 else array}


def network_samples(
    record: ChainRecord, folder: Path, network: str, photographs: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """What `network` gets when the chain runs on the photographs, one row each. Raises Mistake if it gets nothing."""
    from trtkit.runtime.cpu import CpuBackend

    rows: list[Arrays] = []

    def keep(name: str, arrays: Arrays, _: Arrays) -> None:
        if name == network and len(arrays["in1"]):
            rows.append({key: array[:1] for key, array in arrays.items()})

    with ExitStack() as stack:
        backends = {name: stack.enter_context(CpuBackend(folder / f"{name}.fp32.onnx")) for name in record.networks}
        chain = open_chain(record, folder, backends)
        for photograph in photographs:
            chain.watch(feed_for(record, photograph), keep)
    if not rows:
        raise Mistake(
            f"no photograph leads to network '{network}' of {record.model}; name others with --images, that show "
            "what the graph looks for"
        )
    filled = [rows[i % len(rows)] for i in range(len(photographs))]
    return {key: np.concatenate([row[key] for row in filled]) for key in filled[0]}


def _bare(record: ChainRecord, root: Path) -> Model:
    """A Model for a graph that belongs to none: networks to export and build, no pipeline."""

    def refuse(*_: Any) -> Any:
        raise Mistake(f"{record.model} was imported with --any-graph; right would be: trtkit export --any-graph again")

    bare = Model(
        name=record.model,
        title=record.graph,
        networks=(),
        load_source=refuse,
        sample_inputs=refuse,
        embedded_dir=root / record.model,
        official_id="",
        result_tag=record.model,
        open_pipeline=refuse,
    )
    return imported(bare, record, root)


def _spec(name: str, network: NetworkRecord) -> NetworkSpec:
    return NetworkSpec(
        name=name,
        inputs=tuple(_tensor(tensor) for tensor in network.inputs),
        outputs=tuple(_tensor(tensor) for tensor in network.outputs),
        keep_fp32=network.keep_fp32,
    )


def _tensor(record: TensorRecord) -> TensorSpec:
    shape = tuple(size if size is not None else "?" for size in record.shape or ())
    return TensorSpec(record.name, record.dtype, shape, record.value_range)


def _with_networks(config: Config, record: ChainRecord) -> Config:
    """`config` with a block for each network of the chain: its sizes are fixed, its batch is 1 to LARGEST_BATCH."""
    known = config.models.get(record.model)
    networks = dict(known.networks) if known else {}
    for name, network in record.networks.items():
        profile = {
            tensor.name: ShapeRange(min=_sizes(tensor, 1), opt=_sizes(tensor, 1), max=_sizes(tensor, LARGEST_BATCH))
            for tensor in network.inputs
        }
        networks[name] = NetworkConfig(
            precisions=["fp16"],
            profiles=[profile],
            tolerance={"fp16": network.tolerance},
            keep_fp32=networks[name].keep_fp32 if name in networks else [],  # the user's, if he wrote any
        )
    return config.model_copy(update={"models": {**config.models, record.model: ModelConfig(networks=networks)}})


def _sizes(tensor: TensorRecord, batch: int) -> list[int]:
    return [size if isinstance(size, int) else batch for size in tensor.shape or []]
