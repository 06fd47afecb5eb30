"""Pictures in, results on disk: decode ahead, run in batches, finish and encode behind, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from trtkit.errors import TrtkitError
from trtkit.files import write_whole
from trtkit.infer.inputs import Job
from trtkit.models.imaging import encode
from trtkit.models.imaging.decode import decode
from trtkit.models.pipeline import Files, Pipeline, StageClock


class Unforeseen(TrtkitError):
    """What no picture should meet: a fault of trtkit's own, which is the `__cause__`. The other pictures go on."""

    def __init__(self, job: Job, cause: Exception) -> None:
        super().__init__(f"{job.source} met a fault of trtkit's own: {type(cause).__name__}: {cause}")
        self.__cause__ = cause


@dataclass(frozen=True)
class Written:
    """The files of one result, and what people should know about it, a line each."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Done:
    """One picture's outcome: what was written, or the error that one picture met (the others go on)."""

    job: Job
    error: TrtkitError | None
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def process(
    pipeline: Pipeline,
    jobs: Iterable[Job],
    clock: StageClock,
    batch: int = 1,
    workers: int = 2,
    max_megapixels: float = 100,
    keeps_alpha: bool = False,
    done: Callable[[Done], None] = lambda _: None,
) -> list[Done]:
    """Run every job; results in order. At most `batch` + 2 × `workers` decoded pictures are held at a time.

    `keeps_alpha` says that a result is transparent where its picture is, so that one that cannot be written is not run.
    """
    outcomes: list[Done] = []

    def report(outcome: Done) -> None:
        outcomes.append(outcome)
        done(outcome)

    with ThreadPoolExecutor(workers, thread_name_prefix="trtkit-host") as pool:

        def prepare(job: Job) -> Any:
            with clock.stage("decode"):
                picture = decode(job.source, limit_megapixels=max_megapixels, at_least=pipeline.needed_pixels)
            if keeps_alpha and picture.alpha is not None:
                encode.check_transparency(job.target.suffix, str(job.target))
            return pipeline.prepare(picture, clock)

        def finish(job: Job, item: Any, raw: Any) -> Written:
            result = pipeline.finish(item, raw, clock)
            if isinstance(result, Files):
                return Written(_write_all(job.target, result), result.notes)
            with clock.stage("encode"):
                encode.write(job.target, result)
            return Written((job.target,))

        finishing: deque[tuple[Job, Future[Written]]] = deque()
        for group in _groups(_ahead(pool, prepare, jobs, batch + workers), batch):
            ready: list[tuple[Job, Any]] = []
            for job, future in group:
                if error := _error(job, future):
                    report(Done(job, error))
                else:
                    ready.append((job, future.result()))
            if ready:
                raws = pipeline.run([item for _, item in ready], clock)
                for (job, item), raw in zip(ready, raws, strict=True):
                    finishing.append((job, pool.submit(finish, job, item, raw)))
            while len(finishing) > workers:
                report(_outcome(*finishing.popleft()))
        while finishing:
            report(_outcome(*finishing.popleft()))
    return outcomes


def _write_all(target: Path, result: Files) -> tuple[Path, ...]:
    """Every file of the result, each whole or not at all."""
    written = []
    for name, content in result.make(target.name).items():
        write_whole(target.with_name(name), content)
        written.append(target.with_name(name))
    return tuple(written)


def _outcome(job: Job, future: Future[Written]) -> Done:
    if error := _error(job, future):
        return Done(job, error)
    written = future.result()
    return Done(job, None, written.files, written.notes)


def _error(job: Job, future: Future[Any]) -> TrtkitError | None:
    """What kept the work on this picture from being done; waits for it."""
    error = future.exception()
    if isinstance(error, Exception) and not isinstance(error, TrtkitError):
        return Unforeseen(job, error)
    if isinstance(error, TrtkitError) or error is None:
        return error
    raise error


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[Job], Any], jobs: Iterable[Job], depth: int
) -> Iterator[tuple[Job, Future[Any]]]:
    """Keep `depth` jobs under way in front of the one being handed out."""
    waiting: deque[tuple[Job, Future[Any]]] = deque()
    for job in jobs:
        waiting.append((job, pool.submit(work, job)))
        if len(waiting) >= depth:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def _groups(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while group := list(islice(items, size)):
        yield group
