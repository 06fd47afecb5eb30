"""File to file: JPEGs in, results on disk, through our pipeline and through the articles' way with Pillow."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from trtkit.bench.contenders import Arrays
from trtkit.errors import CheckFailed
from trtkit.infer.inputs import Job
from trtkit.infer.run import process
from trtkit.models.pipeline import Pipeline, StageClock


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


def through_recipe(step: Callable[[Arrays], dict[str, np.ndarray]], jobs: list[Job], size: int, bgr: bool) -> FileRun:
    """Pillow opens, resizes and saves, one picture at a time; the network's map is stretched back over the picture.

    A one-channel map becomes the picture's alpha, a three-channel one the result itself.
    """
    clock = StageClock()
    began = time.perf_counter()
    for job in jobs:
        with clock.stage("decode"):
            picture = Image.open(job.source).convert("RGB")
        with clock.stage("prepare"):
            canvas = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
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
