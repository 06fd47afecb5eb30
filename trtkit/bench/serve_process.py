"""The processes of `bench serve` beside this one: the server as the command line starts it, and the load generator."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from trtkit.bench.serve_load import Outcome, Spell
from trtkit.errors import CheckFailed
from trtkit.serve.access import KEYS_VARIABLE

_OPENING_SECONDS = 300.0
_ENDING_SECONDS = 30.0


@dataclass(frozen=True)
class Server:
    """A server of this machine that is ready; `ready_after` seconds from its start."""

    process: subprocess.Popen[str]
    port: int
    ready_after: float

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics: 'name{labels}' → value."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def picture(self, path: str, data: bytes) -> bytes:
        """One picture's answer. Raises CheckFailed with what the server says instead."""
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"Content-Type": "image/jpeg"}, method="POST"
        )
        try:
            with urllib.request.urlopen(asked, timeout=300) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            said = json.loads(error.read()).get("error", "")
            raise CheckFailed(f"the server answers {error.code} to a photograph: {said}") from error


@contextlib.contextmanager
def serving(arguments: Sequence[str]) -> Iterator[Server]:
    """`trtkit serve ARGUMENTS` on a free port of this machine until the end of the block. Raises CheckFailed with its
    own words if it does not get ready."""
    command = [sys.executable, "-m", "trtkit.cli", "serve", "--port", "0", "--no-access-log", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != KEYS_VARIABLE}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        with said.open("wb") as stream:
            process = subprocess.Popen(
                command, stdout=stream, stderr=subprocess.STDOUT, env=environment | {"PYTHONUNBUFFERED": "1"}, text=True
            )
        try:
            port = _when_ready(process, said, began + _OPENING_SECONDS)
            yield Server(process, port, time.monotonic() - began)
        finally:
            process.terminate()
            try:
                process.wait(_ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _when_ready(process: subprocess.Popen[str], said: Path, until: float) -> int:
    while True:
        text = said.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"^serving .* on http://127\.0\.0\.1:(\d+) ", text, re.MULTILINE)
        if found and _is_ready(int(found[1])):
            return int(found[1])
        if process.poll() is not None:
            raise CheckFailed(f"the server did not start: {(text.strip().splitlines() or ['it said nothing'])[-1]}")
        if time.monotonic() > until:
            raise CheckFailed(
                f"the server was not ready after {_OPENING_SECONDS:g} s; what it said last: {text[-300:]}"
            )
        time.sleep(0.05)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


class LoadGenerator(contextlib.AbstractContextManager["LoadGenerator"]):
    """The load generator's process; one spell at a time."""

    def __enter__(self) -> LoadGenerator:
        command = [sys.executable, "-m", "trtkit.bench.serve_load"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, spell: Spell) -> Outcome:
        """Raises CheckFailed if a request was answered with anything but a picture: such figures would not compare."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(spell)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise CheckFailed("the load generator's process ended before its time; is there memory left?")
        outcome = Outcome(**json.loads(line))
        if outcome.statuses or not outcome.latencies:
            failed = ", ".join(f"{count} times {status}" for status, count in outcome.statuses.items())
            raise CheckFailed(
                f"of {sum(outcome.statuses.values()) + len(outcome.latencies)} requests not all were answered with a "
                f"picture: {failed or 'none was'}; the last one said: {outcome.said or 'nothing'}"
            )
        return outcome
