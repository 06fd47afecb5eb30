"""From names of models to a service: files judged, backends opened and warmed, batchers before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trtkit import config as configuration
from trtkit import models
from trtkit.config import Batching, Config
from trtkit.models.spec import Model, NetworkSpec
from trtkit.runtime import select
from trtkit.runtime.backend import Backend
from trtkit.serve.batcher import Batcher
from trtkit.serve.breaker import Breaker
from trtkit.serve.limits import Limits
from trtkit.serve.service import Served, Service


def open_service(
    names: Sequence[str],
    artifacts: Path,
    backend: str,
    devices: Sequence[int],
    limits: Limits,
    config: Path | None = None,
) -> Service:
    """Every model of `names` (all known ones if empty) on `backend`, on each GPU of `devices`.

    Raises what select.load raises; what was opened is closed again.
    """
    settings = configuration.load(config)
    served: dict[str, Served] = {}
    try:
        for name in names or models.NAMES:
            served[name] = _open_model(models.get(name), artifacts, backend, devices, limits, settings)
    except BaseException:
        for one in served.values():
            for network in one.networks.values():
                network.close()
        raise
    return Service(served, limits)


def _open_model(
    model: Model, artifacts: Path, backend: str, devices: Sequence[int], limits: Limits, settings: Config
) -> Served:
    batchers: dict[str, Batcher] = {}
    said: dict[str, None] = {}
    try:
        for network in model.networks:
            opened: list[Backend] = []
            for device in devices:
                loaded = select.load(model, network, artifacts, backend, device=device, config=settings)
                opened.append(loaded.backend)
                said[f"{model.name}: {loaded.weights}, on {loaded.where}"] = None
                if loaded.why:
                    said[f"{model.name}: {loaded.why}"] = None
                if loaded.backend.name == "cpu":
                    break  # one is all of the CPU
            batching = settings.network(model.name, network.name).batching
            batchers[network.name] = open_batcher(f"{model.name}/{network.name}", opened, network, batching, limits)
    except BaseException:
        for batcher in batchers.values():
            batcher.close()
        raise
    return Served(model, batchers, limits.megapixels, tuple(said))


def open_batcher(
    title: str, backends: Sequence[Backend], network: NetworkSpec, batching: Batching, limits: Limits
) -> Batcher:
    """A batcher on warmed backends: the first run of a network is the slowest, so no client meets it."""
    trial = _trial(network, backends[0])
    for backend in backends:
        backend.run(trial)
    most = min([batching.max_batch, *_largest_batches(backends[0])])
    breaker = Breaker(limits.failures, limits.cool_down)
    return Batcher(title, backends, most, batching.max_delay_ms / 1000, breaker, trial)


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
