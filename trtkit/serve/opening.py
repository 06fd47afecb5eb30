"""From names of models to a service: files judged, backends opened and warmed, batchers before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trtkit.config import Batching, Config, Profile
from trtkit.errors import Mistake
from trtkit.models.pipeline import Pipeline
from trtkit.models.served import ServedOption
from trtkit.models.spec import Model, NetworkSpec
from trtkit.runtime import origins, select
from trtkit.runtime.backend import Backend
from trtkit.runtime.gpu import GpuBackend
from trtkit.serve.batcher import Batcher
from trtkit.serve.breaker import Breaker
from trtkit.serve.limits import Limits
from trtkit.serve.service import Served, Service

_MODE = "mode"
"""The option that bounds how much work a picture is."""


@dataclass(frozen=True)
class Source:
    """A model as its artifacts under `root` have it, the settings that know its networks, and what people are told
    about its weights."""

    model: Model
    root: Path
    settings: Config
    said: tuple[str, ...] = ()


def open_service(
    sources: Sequence[Source],
    backend: str,
    devices: Sequence[int],
    limits: Limits,
    mode: str | None = None,
    max_batch: int | None = None,
) -> Service:
    """Every model of `sources` on `backend`, on each GPU of `devices`; `max_batch` stands in place of engines.yaml's.

    Raises what select.load raises, and Mistake for a `mode` that no model has; what was opened is closed again.
    """
    if mode is not None:
        sources = [replace(source, model=bounded(source.model, mode)) for source in sources]
        if not any(_mode_of(source.model) for source in sources):
            names = ", ".join(source.model.name for source in sources)
            raise Mistake(f"--mode {mode} is for models that have modes, and none of {names} has; leave it out")
    served: dict[str, Served] = {}
    try:
        for source in sources:
            served[source.model.name] = _open_model(source, backend, devices, limits, max_batch)
    except BaseException:
        for one in served.values():
            for network in one.networks.values():
                network.close()
        raise
    return Service(served, limits)


def bounded(model: Model, mode: str) -> Model:
    """`model` in `mode` where a request says nothing else; with 'fast' a request can ask for nothing else.

    A model without modes stays as it is.
    """
    option = _mode_of(model)
    if option is None:
        return model
    choices = ("fast",) if mode == "fast" else option.choices
    stated = tuple(replace(option, default=mode, choices=choices) if one.name == _MODE else one for one in model.served)

    def open_pipeline(networks: Mapping[str, Backend], options: Mapping[str, Any], limit_megapixels: float) -> Pipeline:
        return model.open_pipeline(networks, {_MODE: mode, **options}, limit_megapixels)

    return replace(model, served=stated, open_pipeline=open_pipeline)


def _mode_of(model: Model) -> ServedOption | None:
    return next((option for option in model.served if option.name == _MODE and "fast" in option.choices), None)


def _open_model(source: Source, backend: str, devices: Sequence[int], limits: Limits, max_batch: int | None) -> Served:
    model = source.model
    batchers: dict[str, Batcher] = {}
    bounds: dict[str, Sequence[Profile]] = {}
    everything: list[select.Loaded] = []
    try:
        for network in model.networks:
            opened: list[Backend] = []
            for device in devices:
                loaded = select.load(model, network, source.root, backend, device=device, config=source.settings)
                opened.append(loaded.backend)
                everything.append(loaded)
                if loaded.backend.name == "cpu":
                    break  # one is all of the CPU
            settings = source.settings.network(model.name, network.name)
            batching = settings.batching
            bounds[network.name] = opened[0].profiles or settings.profiles
            largest = max_batch or batching.largest(opened[0].name)
            batchers[network.name] = open_batcher(
                f"{model.name}/{network.name}",
                opened,
                network,
                batching.model_copy(update={"max_batch": largest}),
                limits,
            )
        said = [f"{model.folder}: {line}" for line in source.said]
        said += origins.lines(model.folder, everything)
        said += [f"{model.folder}: {why}" for why in dict.fromkeys(one.why for one in everything) if why]
        served = Served(model, batchers, limits.megapixels, tuple(said), bounds)
        served.pipeline({})  # what it lacks is said now, and no client waits for it
    except BaseException:
        for batcher in batchers.values():
            batcher.close()
        raise
    return served


def open_batcher(
    title: str, backends: Sequence[Backend], network: NetworkSpec, batching: Batching, limits: Limits
) -> Batcher:
    """A batcher on warmed backends: the first run of a network is the slowest, so no client meets it."""
    trial = _trial(network, backends[0])
    most = min([batching.max_batch, *_largest_batches(backends[0])])
    for backend in backends:
        backend.run(trial)
        _warm_batches(backend, most)
    breaker = Breaker(limits.failures, limits.cool_down)
    # On a GPU the profiles bound it.
    pixels = network.pixels_at_once if backends[0].name == "cpu" else None
    return Batcher(title, backends, most, batching.max_delay_ms / 1000, breaker, trial, pixels)


def _warm_batches(backend: Backend, most: int) -> None:
    """Every batch up to `most` on a GPU, at the size its first profile is tuned for: a library that picks its kernels
    by shape does so now."""
    if not isinstance(backend, GpuBackend):
        return
    for batch in range(1, most + 1):
        shapes = {name: (batch, *ranges.opt[1:]) for name, ranges in backend.profiles[0].items()}
        if all(ranges.admits(shapes[name]) for name, ranges in backend.profiles[0].items()):
            backend.warm_up(shapes)


def _trial(network: NetworkSpec, backend: Backend) -> dict[str, np.ndarray]:
    """Zeros of the smallest shapes that the backend takes, and at least as large as the network needs."""
    trial = {}
    for tensor in network.inputs:
        if backend.profiles:
            shape = tuple(backend.profiles[0][tensor.name].min)
        else:
            side = -(-network.smallest // network.multiple_of) * network.multiple_of
            shape = tuple(axis if isinstance(axis, int) else 1 if axis == "N" else side for axis in tensor.shape)
        trial[tensor.name] = np.zeros(shape, tensor.dtype)
    return trial


def _largest_batches(backend: Backend) -> list[int]:
    """The largest batch over the profiles; none where any batch does."""
    profiles: Sequence[Mapping] = backend.profiles
    return [max(ranges.max[0] for profile in profiles for ranges in profile.values())] if profiles else []
