"""Prometheus' figures of a process, of all processes of a server together."""

from __future__ import annotations

import resource
from collections.abc import Callable, Sequence

from trtkit.optional import need

_CPU = "process_cpu_seconds_total"
_TOGETHER: dict[str, Callable[[Sequence[float]], float]] = {"process_start_time_seconds": min, "process_max_fds": min}
"""How figures become one; all others are added up."""


def of_processes(pids: Sequence[int]) -> dict[str, float]:
    """Name → figure; those that have ended since count on with the CPU they took. Empty where there is no /proc.

    Memory that processes share is counted in each.
    """
    collector = need("prometheus_client", "/metrics").ProcessCollector
    found: dict[str, list[float]] = {}
    for pid in pids:
        for family in collector(registry=None, pid=lambda pid=pid: pid).collect():
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample.value)
    figures = {name: _TOGETHER.get(name, sum)(values) for name, values in found.items()}
    if _CPU in figures:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        figures[_CPU] += ended.ru_utime + ended.ru_stime
    return figures
