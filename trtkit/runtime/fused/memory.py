"""Where each of a network's own buffers lies in the one piece of device memory that they share."""

from __future__ import annotations

import math
from collections.abc import Mapping

from trtkit.runtime.fused.schedule import Buffer, Schedule
from trtkit.runtime.fused.values import Size

ALIGNMENT = 256
"""Bytes: what cudaMalloc gives, and more than any kernel's widest access."""


def bytes_of(buffer: Buffer, batch: int, size: Size) -> int:
    """For `batch` pictures of the input's `size`."""
    return batch * math.prod(buffer.size(size)) * buffer.channels * int(buffer.dtype.itemsize)


def offsets(schedule: Schedule, batch: int, size: Size) -> tuple[dict[Buffer, int], int]:
    """Each buffer's offset, and the bytes that they take together: two share bytes if no step needs both.

    The largest first, each as low as what is alive beside it allows. Right for smaller batches and sizes, too.
    """
    lives = _lives(schedule)
    sizes = {buffer: -(-bytes_of(buffer, batch, size) // ALIGNMENT) * ALIGNMENT for buffer in lives}
    placed: dict[Buffer, int] = {}
    for buffer in sorted(lives, key=lambda one: -sizes[one]):
        offset = 0
        for other in sorted(placed, key=placed.__getitem__):
            together = lives[other][0] <= lives[buffer][1] and lives[buffer][0] <= lives[other][1]
            if together and offset + sizes[buffer] > placed[other] and offset < placed[other] + sizes[other]:
                offset = placed[other] + sizes[other]
        placed[buffer] = offset
    return placed, max((placed[one] + sizes[one] for one in placed), default=0)


def _lives(schedule: Schedule) -> Mapping[Buffer, tuple[int, int]]:
    """Numbers of the first and the last step that touch each of the network's own buffers."""
    given = {*schedule.inputs.values(), *schedule.outputs.values()}
    lives: dict[Buffer, tuple[int, int]] = {}
    for number, step in enumerate(schedule.steps):
        for buffer in (*step.reads, *step.writes):
            if buffer not in given:
                lives[buffer] = (lives.get(buffer, (number, number))[0], number)
    return lives
