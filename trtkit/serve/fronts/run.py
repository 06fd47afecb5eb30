"""A server of several processes, from opening to its end."""

from __future__ import annotations

import resource
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress

from trtkit.serve.batcher import Batcher
from trtkit.serve.fronts.hub import Hub
from trtkit.serve.fronts.model_recipe import recipe
from trtkit.serve.fronts.network_info import NetworkInfo, info_of
from trtkit.serve.fronts.start import Settings, Start
from trtkit.serve.opening import Source
from trtkit.serve.running import bind, url_of
from trtkit.serve.service import Service

_DESCRIPTORS = 1 << 16


def run_fronts(
    processes: int,
    settings: Settings,
    find: Callable[[], Sequence[Source]],
    open_networks: Callable[[Sequence[Source]], Service],
    host: str,
    port: int,
    listening: Callable[[str, Service], None],
) -> None:
    """Serve with `processes` fronts until SIGTERM or SIGINT; `listening` is called with the URL once all of them take
    connections. Raises what `find` and `open_networks` raise, Mistake for an address that cannot be bound, CheckFailed
    if a front cannot serve."""
    _allow_descriptors()
    hub = Hub(processes)
    try:
        sources = find()
        service = open_networks(sources)
        try:
            networks, faces = _numbered(service, processes)
            start = Start(
                processes,
                settings,
                secrets.token_bytes(32),
                {source.model.name: recipe(source, settings.mode) for source in sources},
                faces,
                {name: served.bounds for name, served in service.models.items()},
            )
            with bind(host, port) as bound:
                hub.serve(networks, start, bound, lambda: listening(url_of(host, bound), service))
        finally:
            service.close()
    finally:
        hub.close()


def _allow_descriptors() -> None:
    """Each piece of shared memory holds a descriptor in the hub, all fronts' together: the usual 1024, which are there
    for the sake of select(2), are soon gone. As many as this user may have without asking; fronts inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):  # macOS has another limit besides
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _numbered(service: Service, fronts: int) -> tuple[list[Batcher], dict[str, dict[str, tuple[int, NetworkInfo]]]]:
    networks: list[Batcher] = []
    faces: dict[str, dict[str, tuple[int, NetworkInfo]]] = {}
    for name, served in service.models.items():
        faces[name] = {}
        for title, network in served.networks.items():
            assert isinstance(network, Batcher)
            faces[name][title] = (len(networks), info_of(network, fronts))
            networks.append(network)
    return networks, faces
