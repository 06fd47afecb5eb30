"""What a server has done, all its processes together, for /metrics and the statistics of the inference protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Answers = Mapping[tuple[str, int], int]
"""(route, status) → answers."""

Stages = Mapping[tuple[str, str], tuple[int, float]]
"""(model, stage) → pictures, and seconds that they spent in it."""


@dataclass(frozen=True)
class Totals:
    """`process`: Prometheus' process_… figures of all processes together; None where there is only this one."""

    answers: Answers
    stages: Stages
    process: Mapping[str, float] | None = None


class Hub(Protocol):
    """Who knows the whole of a server of several processes."""

    async def totals(self) -> Totals:
        """As it is now; what the networks say of themselves is brought up to date, too. Raises Refused (503)."""
        ...

    async def refresh(self) -> None:
        """Bring what the networks say of themselves up to date, and wait for nobody else. Raises Refused (503)."""
        ...
