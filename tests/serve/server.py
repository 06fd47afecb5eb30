"""A real server in a process of its own, on a free port of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx


@dataclass
class Server:
    process: subprocess.Popen
    url: str
    log: Path
    ready_after: float
    """Seconds from its start to its first 200 of readiness."""


@contextmanager
def started(root: Path, folder: Path, *options: object) -> Iterator[Server]:
    """`trtkit serve cv_unet` with the artifacts of `root`, run in the empty folder `folder`; killed at the end."""
    log = folder.parent / f"{folder.name}.log"
    command = [sys.executable, "-m", "trtkit.cli", "serve", "cv_unet", "--port", "0", "--backend", "cpu"]
    began = time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--artifacts", str(root), *map(str, options)],
            cwd=folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        url = _url(process, log)
        while True:
            try:
                if httpx.get(f"{url}/v2/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - began < 60, log.read_text()
            time.sleep(0.02)
        yield Server(process, url, log, time.monotonic() - began)
    finally:
        process.kill()
        process.wait()


def _url(process: subprocess.Popen, log: Path) -> str:
    for _ in range(3000):
        for line in log.read_text().splitlines():
            if line.startswith("serving "):
                return line.split(" on ")[1].split(" ")[0]
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    raise AssertionError(log.read_text())
