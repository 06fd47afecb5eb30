"""The load generator of `bench serve`, a process of its own: `python -m trtkit.bench.serve_load`.

A JSON object a line on standard input is one spell of load, a JSON object a line on standard output what came of it;
it ends with its input. It imports the standard library alone, so that its CPU time is the clients' and nothing else's.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Spell:
    """`clients` that ask for `requests` in all, each the next as soon as it has its answer, and for `seconds` at most.

    The bodies are the files `pictures` in turn. Requests go to `path` on 127.0.0.1:`port`, each answered in `patience`
    seconds at most.
    """

    port: int
    path: str
    pictures: tuple[str, ...]
    clients: int
    requests: int
    seconds: float
    patience: float = 60.0


@dataclass
class Outcome:
    """`latencies`: seconds of each request answered with 200; `stages`: seconds of the server's stages, summed over
    them; `statuses`: how many of each other answer, with one of their sentences; `wall` and `cpu`: seconds that the
    spell took, and of this process's CPU time."""

    latencies: list[float] = field(default_factory=list)
    stages: dict[str, float] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    said: str = ""
    wall: float = 0.0
    cpu: float = 0.0


class _Clients:
    """The threads of one spell; connections live as long as it does."""

    def __init__(self, spell: Spell) -> None:
        self._spell = spell
        self._bodies = [Path(name).read_bytes() for name in spell.pictures]
        self._lock = threading.Lock()
        self._left = spell.requests
        self._until = time.perf_counter() + spell.seconds
        self.outcome = Outcome()

    def run(self) -> Outcome:
        threads = [threading.Thread(target=self._client, daemon=True) for _ in range(self._spell.clients)]
        before, began = time.process_time(), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.outcome.wall, self.outcome.cpu = time.perf_counter() - began, time.process_time() - before
        return self.outcome

    def _next(self) -> bytes | None:
        with self._lock:
            if self._left <= 0 or time.perf_counter() >= self._until:
                return None
            self._left -= 1
            return self._bodies[self._left % len(self._bodies)]

    def _client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._spell.port, timeout=self._spell.patience)
        while (body := self._next()) is not None:
            began = time.perf_counter()
            try:
                connection.request("POST", self._spell.path, body, {"Content-Type": "image/jpeg"})
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._note(type(error).__name__, str(error))
                connection.close()
                continue
            spent = time.perf_counter() - began
            if answer.status == 200:
                self._keep(spent, answer.getheader("Server-Timing") or "")
            else:
                self._note(str(answer.status), content[:300].decode("utf-8", "replace"))
        connection.close()

    def _keep(self, spent: float, timing: str) -> None:
        with self._lock:
            self.outcome.latencies.append(spent)
            for entry in timing.split(", "):
                stage, _, duration = entry.partition(";dur=")
                if duration:
                    self.outcome.stages[stage] = self.outcome.stages.get(stage, 0.0) + float(duration) / 1e3

    def _note(self, status: str, said: str) -> None:
        with self._lock:
            self.outcome.statuses[status] = self.outcome.statuses.get(status, 0) + 1
            self.outcome.said = said


def main() -> None:
    """Spells in, outcomes out, until the input ends."""
    for line in sys.stdin:
        asked = json.loads(line)
        spell = Spell(**{**asked, "pictures": tuple(asked["pictures"])})
        print(json.dumps(asdict(_Clients(spell).run())), flush=True)


if __name__ == "__main__":
    main()
