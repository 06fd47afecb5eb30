"""What one server takes on at most."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from trtkit.errors import Mistake

MOST_WORKERS = 8
"""Host work is calls of C code that give Python's lock away and take it back every tenth of a millisecond or so. A few
threads keep the lock passed on without a pause; more only queue for it, and each that has to be woken for its turn lets
it lie meanwhile. On two cores, cut-outs of 256x192 from 48 clients: 32 threads 197 a second with 62 switches of threads
a picture, 8 threads 228 with 44, 2 threads 248 with 11."""


def default_workers(processes: int = 1) -> int:
    """Host threads of each of a server's processes: its share of the cores."""
    return min(max(1, (os.cpu_count() or 1) // max(1, processes)), MOST_WORKERS)


@dataclass(frozen=True)
class Limits:
    """`queue`: requests under way, waiting ones included; `upload`: bytes of a request's body; `megapixels`: of a
    picture (9 is 3000x3000); `seconds`: from the first byte to the answer; `workers`: host threads, one a core but at
    most MOST_WORKERS unless it is given; `failures` in a row open a network's breaker, which is tried again `cool_down`
    seconds later; `drain`: seconds that requests under way get on SIGTERM."""

    queue: int = 64
    upload: int = 32 << 20
    megapixels: float = 9.0
    seconds: float = 10.0
    workers: int = field(default_factory=default_workers)
    failures: int = 5
    cool_down: float = 5.0

    def __post_init__(self) -> None:
        """Raises Mistake, naming the option."""
        for name in ("queue", "upload", "megapixels", "seconds", "workers", "failures", "cool_down"):
            if not getattr(self, name) > 0:
                raise Mistake(f"--{name.replace('_', '-')} is {getattr(self, name):g}; right would be more than 0")

    @property
    def drain(self) -> int:
        """Seconds that requests under way get after SIGTERM: their own limit, and one for the answer."""
        return int(self.seconds) + 1
