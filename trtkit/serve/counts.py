"""What a network has done, counted once, for /metrics and for the statistics of the inference protocol alike."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass
class NetworkCounts:
    """Durations in nanoseconds, summed over requests (a batch's run counts once for each request in it).

    `success` and `failure` are requests, `rows` the pictures in them, `runs` executions of the backend, `by_size`
    the runs of each batch size with their nanoseconds; `dropped` are requests that expired or whose client left before
    they cost a run.
    """

    success: int = 0
    failure: int = 0
    dropped: int = 0
    rows: int = 0
    runs: int = 0
    total_ns: int = 0
    queue_ns: int = 0
    infer_ns: int = 0
    failure_ns: int = 0
    out_of_memory: int = 0
    last_ms: int = 0
    by_size: dict[int, tuple[int, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def ran(self, rows: int, spent_ns: int) -> None:
        """One run of the backend."""
        with self.lock:
            self.runs += 1
            self.rows += rows
            count, before = self.by_size.get(rows, (0, 0))
            self.by_size[rows] = (count + 1, before + spent_ns)

    def answered(self, queued_ns: int, infer_ns: int, now_ms: int) -> None:
        """One request that got its result."""
        with self.lock:
            self.success += 1
            self.queue_ns += queued_ns
            self.infer_ns += infer_ns
            self.total_ns += queued_ns + infer_ns
            self.last_ms = now_ms

    def failed(self, spent_ns: int) -> None:
        with self.lock:
            self.failure += 1
            self.failure_ns += spent_ns

    def drop(self) -> None:
        with self.lock:
            self.dropped += 1

    def ran_out_of_memory(self) -> None:
        with self.lock:
            self.out_of_memory += 1
