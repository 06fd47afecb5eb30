"""The memory an engine will take, from the builder's own INFO lines: no GPU and no deserializing needed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from trtkit.errors import CheckFailed
from trtkit.manifest import MemoryPlan


def read_memory_plan(info_lines: Iterable[str], what: str) -> MemoryPlan:
    """Bytes for activations (the hungriest profile's: each prints its own line) and for weights.

    Raises CheckFailed, naming `what`, if a line is missing: an unknown need must not read as none.
    """
    lines = list(info_lines)
    return MemoryPlan(
        activation_bytes=_largest("Total Activation Memory", lines, what),
        weights_bytes=_largest("Total Weights Memory", lines, what),
    )


def _largest(label: str, lines: list[str], what: str) -> int:
    found = [int(match.group(1)) for line in lines if (match := re.search(rf"{label}: (\d+) bytes", line))]
    if not found:
        raise CheckFailed(
            f"the builder's log for {what} has no line '{label}: N bytes', so its memory plan is unknown; "
            "use a builder version that prints it"
        )
    return max(found)
