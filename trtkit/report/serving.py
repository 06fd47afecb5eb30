"""`trtkit serve`: what runs where, then the address."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trtkit import config as configuration
from trtkit import models
from trtkit.errors import Mistake
from trtkit.export.choose import EMBEDDED, OFFICIAL
from trtkit.export.ready import ready
from trtkit.many_pictures import for_many_pictures
from trtkit.optional import need
from trtkit.report.console import console, remarks
from trtkit.serve.access import Keys, check_address, read_keys
from trtkit.serve.fronts.platform_support import check_processes, possible
from trtkit.serve.limits import Limits
from trtkit.serve.opening import Source, open_service
from trtkit.serve.running import bind, log_to_stderr, run
from trtkit.serve.service import Service

_MANY_CORES = 8
_LIBRARIES = ("starlette", "uvicorn", "httptools", "python_multipart", "prometheus_client")


@dataclass(frozen=True)
class Wish:
    """What to serve: `models` (all there are if empty), from which weights, where, and how much at once."""

    models: Sequence[str]
    style: str | None
    weights: str | None
    backend: str
    devices: Sequence[int]
    mode: str | None
    max_batch: int | None
    root: Path
    config: Path | None


def show(
    wish: Wish,
    host: str,
    port: int,
    limits: Limits,
    api_keys: Path | None,
    no_auth: bool,
    cors: Sequence[str],
    access_log: bool,
    processes: int = 1,
) -> None:
    """Serve until SIGTERM or SIGINT. Raises what opening raises."""
    check_processes(processes)
    for library in _LIBRARIES:
        need(library, "trtkit serve")
    bind(host, port).close()  # an address that cannot be is said before the networks are loaded
    for_many_pictures()
    keys = [] if no_auth else read_keys(api_keys)
    check_address(host, bool(keys), no_auth)
    printer = console()

    def opened(found: Sequence[Source]) -> Service:
        service = open_service(found, wish.backend, wish.devices, limits, wish.mode, wish.max_batch)
        for served in service.models.values():
            for line in served.where:
                printer.print(line)
        if processes == 1 and (hint := more_processes(service)):
            remarks().print(hint)
        log_to_stderr(access_log)
        return service

    def listening(url: str, service: Service) -> None:
        access = f"{len(keys)} API keys" if keys else "no API keys"
        fronts = f"; {processes} processes for host work" if processes > 1 else ""
        printer.print(f"serving {', '.join(service.models)} on {url} ({access}){fronts}; its API: {url}/docs")

    if processes == 1:
        service = opened(sources(wish))
        run(service, host, port, Keys(keys), cors, lambda url: listening(url, service))
        return
    from trtkit.serve.fronts.run import run_fronts
    from trtkit.serve.fronts.start import Settings

    settings = Settings(limits, keys, cors, access_log, wish.mode)
    run_fronts(processes, settings, lambda: sources(wish), opened, host, port, listening)


def more_processes(service: Service) -> str | None:
    """What to say of a server of one process that has a GPU, and more cores than it can use; None of any other."""
    on_gpu = any(network.name != "cpu" for served in service.models.values() for network in served.networks.values())
    if not on_gpu or (os.cpu_count() or 1) < _MANY_CORES or not possible():
        return None
    return (
        "note: one process does all the host work here, and Python's lock keeps it from using many cores; where small "
        "pictures leave the GPU waiting, --processes N carries more of them (docs/serve.md, Several processes)"
    )


def sources(wish: Wish) -> list[Source]:
    """Each model with the weights that infer would use, too."""
    names = list(dict.fromkeys(wish.models or models.NAMES))
    if len(names) > 1 and wish.style is not None:
        raise Mistake(f"--style {wish.style} is for one model, and {', '.join(names)} are served; name that one")
    if len(names) > 1 and wish.weights not in (None, EMBEDDED, OFFICIAL):
        raise Mistake(f"--weights {wish.weights} is for one model, and {', '.join(names)} are served; name that one")
    settings = configuration.load(wish.config)
    found = []
    for name in names:
        made = ready(name, wish.style, wish.weights, wish.root, settings, publish=False)
        found.append(Source(made.model, made.root, made.config, (made.sentence, *made.notes)))
    return found
