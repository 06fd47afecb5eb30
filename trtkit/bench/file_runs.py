"""File to file: JPEGs in, results on disk, through our pipeline and through the articles' way with Pillow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from trtkit.bench.contenders import Arrays
from trtkit.bench.rounds import Stopwatch, Timing, interleave
from trtkit.errors import CheckFailed
from trtkit.infer.inputs import Job
from trtkit.infer.run import process
from trtkit.models.pipeline import Pipeline, StageClock
from trtkit.runtime.backend import Backend


@dataclass(frozen=True)
class FileRun:
    """Seconds for all pictures; seconds of each stage summed over the threads that ran it side by side."""

    seconds: float
    stages: dict[str, float]


def workers() -> int:
    return max(2, min(8, (os.cpu_count() or 2) - 1))


def through_pipeline(pipeline: Pipeline, jobs: list[Job], batch: int) -> FileRun:
    """As `trtkit infer --batch` does it. Raises CheckFailed naming the first picture that failed."""
    clock = StageClock()
    began = time.perf_counter()
    outcomes = process(pipeline, jobs, clock, batch, workers=workers())
    spent = time.perf_counter() - began
    for outcome in outcomes:
        if outcome.error is not None:
            raise CheckFailed(f"{outcome.job.source}: {outcome.error}")
    return FileRun(spent, dict(clock.seconds))


def through_recipe(
    step: Callable[[Arrays], dict[str, np.ndarray]], jobs: list[Job], shape: tuple[int, int], bgr: bool
) -> FileRun:
    """Pillow opens, resizes to `shape` (height, width) and saves, one picture at a time; the network's map is stretched
    back over the picture.

    A one-channel map becomes the picture's alpha, a three-channel one the result itself.
    """
    clock = StageClock()
    began = time.perf_counter()
    for job in jobs:
        with clock.stage("decode"):
            picture = Image.open(job.source).convert("RGB")
        with clock.stage("prepare"):
            canvas = np.asarray(picture.resize(shape[::-1], Image.Resampling.BILINEAR))
            canvas = np.ascontiguousarray(canvas[..., ::-1] if bgr else canvas)[None]
        with clock.stage("run"):
            found = next(iter(step({"image": canvas}).values()))[0]
        with clock.stage("upsample"):
            flat = found[..., 0] if found.shape[-1] == 1 else np.ascontiguousarray(found[..., ::-1] if bgr else found)
            result = Image.fromarray(flat).resize(picture.size, Image.Resampling.BILINEAR)
        with clock.stage("compose"):
            if found.shape[-1] == 1:
                picture.putalpha(result)
                result = picture
        with clock.stage("encode"):
            result.save(job.target)
    return FileRun(time.perf_counter() - began, dict(clock.seconds))


class Watched:
    """A backend that remembers the shapes it was given."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.shapes: list[tuple[int, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def run(self, arrays: Arrays) -> dict[str, np.ndarray]:
        self.shapes += [array.shape for array in arrays.values()]
        return self._backend.run(arrays)

    @property
    def working_shape(self) -> tuple[int, int] | None:
        """(height, width) of the one run that a picture took; None if it took several, as in tiles."""
        return (self.shapes[0][1], self.shapes[0][2]) if len(self.shapes) == 1 else None


def race(contenders: Mapping[str, Callable[[], FileRun]], rounds: int) -> tuple[dict[str, FileRun], dict[str, Timing]]:
    """Each contender's medians over the rounds (rounds.interleave), and its rounds."""
    kept: dict[str, list[FileRun]] = {name: [] for name in contenders}

    def turn(name: str) -> Callable[[Stopwatch], None]:
        def run(watch: Stopwatch) -> None:
            kept[name].append(contenders[name]())
            watch.seconds["whole"] = kept[name][-1].seconds  # its stages overlap, so they are not what adds up

        return run

    timings = interleave({name: turn(name) for name in contenders}, rounds)
    return {name: _median(runs[-rounds:]) for name, runs in kept.items()}, timings


def _median(runs: list[FileRun]) -> FileRun:
    names = dict.fromkeys(name for run in runs for name in run.stages)
    stages = {name: median(run.stages.get(name, 0.0) for run in runs) for name in names}
    return FileRun(median(run.seconds for run in runs), stages)


def copies_of(photo: bytes, folder: Path, count: int, tag: str) -> list[Job]:
    """`count` files of the same JPEG, and where each result goes."""
    made = []
    for number in range(count):
        source = folder / f"{number}.jpg"
        if not source.exists():
            source.write_bytes(photo)
        made.append(Job(source, folder / tag / f"{number}.png"))
        made[-1].target.parent.mkdir(exist_ok=True)
    return made
