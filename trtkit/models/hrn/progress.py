"""How far a picture has come: the stages a person sees, in order, for the command line, the API and the page alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trtkit.models.pipeline import StageClock

STAGES = {
    "detect": "find",
    "landmarks": "find",
    "align": "find",
    "reconstruct": "shape",
    "texture": "shape",
    "deform": "detail",
    "albedo": "detail",
    "detail": "detail",
}
"""Step → the coarse stage it belongs to: find the face, its shape, its detail."""

DONE = "done"

Progress = Callable[[str, float], None]
"""Called as a step begins, with its name and the share of the steps that is over, 0..1; with DONE and 1 at the end."""


def silent(_step: str, _share: float) -> None:
    """For those who do not want to know."""


class Steps:
    """The steps of one picture, told to a clock and to a progress callback."""

    def __init__(self, names: tuple[str, ...], clock: StageClock, progress: Progress) -> None:
        self._names, self._clock, self._progress = names, clock, progress

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._progress(name, self._names.index(name) / len(self._names))
        with self._clock.stage(name):
            yield

    def done(self) -> None:
        self._progress(DONE, 1.0)
