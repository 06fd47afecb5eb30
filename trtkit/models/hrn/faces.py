"""What the pipeline has found out about one picture."""

from __future__ import annotations

from dataclasses import dataclass

from trtkit.models.hrn.coefficients import Floats
from trtkit.models.hrn.geometry.align import Frame
from trtkit.models.hrn.reconstruct import Base, Deformed, Detail


@dataclass(frozen=True)
class Faces:
    """The N faces of one picture, the surest first. What an output does not need is None.

    `boxes` [N, 4], `points` [N, 68, 2] and the `frames` of the 224 crops are in pixels of the decoded picture; `vector`
    [N, 257]; `left_out`: faces that were found but could not be aligned.
    """

    boxes: Floats
    points: Floats
    frames: tuple[Frame, ...]
    vector: Floats
    base: Base | None
    mid: Deformed | None
    detail: Detail | None
    left_out: int
