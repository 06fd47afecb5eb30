"""The pipeline without a server, in this process, on pictures in memory: what `bench serve` measures the server by."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from trtkit.models.imaging.decode import decode_bytes
from trtkit.models.imaging.encode import encode
from trtkit.models.pipeline import Pipeline, StageClock, picture_of
from trtkit.runtime.backend import Arrays, Backend
from trtkit.serve.limits import Limits


class TimedBackend:
    """A backend that sums the seconds its runs take and remembers its last inputs, for one caller at a time."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.seconds = 0.0
        self.last: Mapping[str, np.ndarray] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def run(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        self.last = arrays
        began = time.perf_counter()
        try:
            return self._backend.run(arrays)
        finally:
            self.seconds += time.perf_counter() - began


@dataclass(frozen=True)
class Alone:
    """A pipeline and the backends it runs on."""

    pipeline: Pipeline
    networks: Mapping[str, TimedBackend]

    def one(self, data: bytes) -> bytes:
        """File to PNG, a step after the other: what the server does for a lone client."""
        clock = StageClock()
        item = self._prepare(data, clock)
        return encode(picture_of(self.pipeline.finish(item, self.pipeline.run([item], clock)[0], clock)), ".png")

    @property
    def network_seconds(self) -> float:
        """Seconds that all networks' runs have taken so far."""
        return sum(network.seconds for network in self.networks.values())

    def batched(self, pictures: Sequence[bytes], count: int, seconds: float, batch: int) -> float:
        """Pictures a second, as `infer --batch` does them: decoded ahead and finished behind by as many threads as
        the server has, run in batches between; `count` of them, or as many as come in `seconds`."""
        clock = StageClock()
        workers = Limits().workers
        began = time.perf_counter()
        done = 0
        with ThreadPoolExecutor(workers) as pool:
            ahead: deque[Future[Any]] = deque()
            behind: deque[Future[bytes]] = deque()
            coming = iter(self._until(pictures, count, began + seconds))
            while True:
                for data in islice(coming, batch + workers - len(ahead)):
                    ahead.append(pool.submit(self._prepare, data, clock))
                group = [ahead.popleft().result() for _ in range(min(batch, len(ahead)))]
                if not group:
                    break
                for item, raw in zip(group, self.pipeline.run(group, clock), strict=True):
                    behind.append(pool.submit(self._finish, item, raw, clock))
                done += len(group)
                while len(behind) > batch + workers:
                    behind.popleft().result()
            for future in behind:
                future.result()
        return done / (time.perf_counter() - began)

    def close(self) -> None:
        for network in self.networks.values():
            network.close()

    def _prepare(self, data: bytes, clock: StageClock) -> Any:
        picture = decode_bytes(
            data, "the photograph", limit_megapixels=float("inf"), at_least=self.pipeline.needed_pixels
        )
        return self.pipeline.prepare(picture, clock)

    def _finish(self, item: Any, raw: Any, clock: StageClock) -> bytes:
        return encode(picture_of(self.pipeline.finish(item, raw, clock)), ".png")

    @staticmethod
    def _until(pictures: Sequence[bytes], count: int, end: float) -> Iterator[bytes]:
        for number in range(count):
            if number and time.perf_counter() >= end:
                return
            yield pictures[number % len(pictures)]


def own_throughput(backend: Backend, arrays: Mapping[str, np.ndarray], batch: int, count: int, seconds: float) -> float:
    """Pictures a second through the backend alone in runs of `batch`, all of its slots busy; `arrays` hold one.

    `count` of them, or as many as come in `seconds`, but a run for each slot at least.
    """
    inputs = {name: np.repeat(array[:1], batch, axis=0) for name, array in arrays.items()}
    # One more than there are slots: the next request is at hand when a slot comes free.
    in_flight = getattr(backend, "slots", 0) + 1
    under_way: deque[Future[Arrays]] = deque()
    done = 0
    began = time.perf_counter()
    while done < in_flight or (done * batch < count and time.perf_counter() < began + seconds):
        if len(under_way) == in_flight:
            under_way.popleft().result()
        under_way.append(backend.submit(inputs))
        done += 1
    while under_way:
        under_way.popleft().result()
    return done * batch / (time.perf_counter() - began)
