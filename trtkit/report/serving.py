"""`trtkit serve`: what runs where, then the address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trtkit.report.console import console
from trtkit.serve.access import Keys, check_address, read_keys
from trtkit.serve.limits import Limits
from trtkit.serve.opening import open_service
from trtkit.serve.running import log_to_stderr, run


def show(
    models: Sequence[str],
    host: str,
    port: int,
    backend: str,
    devices: Sequence[int],
    limits: Limits,
    api_keys: Path | None,
    no_auth: bool,
    cors: Sequence[str],
    access_log: bool,
    root: Path,
    config: Path | None,
) -> None:
    """Serve until SIGTERM or SIGINT. Raises what opening raises."""
    keys = [] if no_auth else read_keys(api_keys)
    check_address(host, bool(keys), no_auth)
    printer = console()
    service = open_service(models, root, backend, devices, limits, config)
    for served in service.models.values():
        for line in served.where:
            printer.print(line)

    def listening(url: str) -> None:
        access = f"{len(keys)} API keys" if keys else "no API keys"
        printer.print(f"serving {', '.join(service.models)} on {url} ({access}); its API: {url}/docs")

    log_to_stderr(access_log)
    run(service, host, port, Keys(keys), cors, listening)
