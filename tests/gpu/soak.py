"""Many requests from many threads with random batch sizes: every result checked, memory and slots watched.

    python -m tests.gpu.soak [--requests 100000] [--side 64] [--model cv_unet --artifacts DIR]

Runs a model's first network on the cuda backend, or the toy network of the tests. Prints one JSON line and exits 4
if a result differs, memory grows after the first thousand requests, or a slot is missing at the end.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import threading
import time
from pathlib import Path

import numpy as np

from tests.runtime.test_on_gpu import free_bytes, open_toy, settle
from trtkit import models
from trtkit.runtime import select
from trtkit.runtime.gpu import GpuBackend

PICTURES = 40


def main() -> int:
    options = _options()
    backend = _open(options)
    name = next(iter(backend.outputs))
    noise = np.random.default_rng(0)
    pictures = noise.integers(0, 256, (PICTURES, options.side, options.side, 3), np.uint8)
    batches = range(1, options.most + 1)
    # Twice through: the second run of a shape is captured, and what follows replays it.
    single = {}
    for n in batches:
        for first in range(PICTURES - n + 1):
            arrays = {"image": pictures[first : first + n]}
            single[n, first] = backend.run(arrays)[name]
    for n in batches:
        backend.warm_up({"image": (n, options.side, options.side, 3)})
    apart = _apart(single)

    counter = itertools.count()
    wrong: list[tuple] = []
    failed: list[str] = []
    free_after_first = []
    least_free = [1 << 62]

    def worker(seed: int) -> None:
        dice = random.Random(seed)
        while (number := next(counter)) < options.requests and time.perf_counter() < end:
            n = dice.choice(batches)
            first = dice.randrange(PICTURES - n + 1)
            arrays = {"image": pictures[first : first + n]}
            try:
                way = number % 4
                if way == 0:
                    found = backend.submit(arrays).result()[name]
                elif way == 1:
                    found = backend.submit(arrays, copy=False).result()[name]
                elif way == 2:
                    future = backend.submit(arrays)
                    if number % 5 == 0 and future.cancel():
                        continue
                    if number % 7 == 0:
                        future.add_done_callback(_raise)
                    found = future.result()[name]
                else:
                    found = backend.run(arrays)[name]
            except Exception as error:  # counted and reported, whatever it is
                failed.append(f"{type(error).__name__}: {error}")
                continue
            if not np.array_equal(found, single[n, first]):
                wrong.append((n, first))
            # A view holds its slot: eight threads that keep theirs while they wait for another would wait for ever.
            del found
            if number == 1000:
                free_after_first.append(free_bytes())
            elif number % 5000 == 0 and number > 1000:
                least_free[0] = min(least_free[0], free_bytes())

    began = time.perf_counter()
    end = began + options.seconds
    threads = [threading.Thread(target=worker, args=(seed,)) for seed in range(options.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - began
    settle(backend)
    grown = free_after_first[0] - min(free_bytes(), least_free[0])
    report = {
        "network": options.model or "toy",
        "device": backend.device,
        "requests": next(counter) - options.threads,  # each thread took one more to find the end
        "threads": options.threads,
        "batch_sizes": [batches[0], batches[-1]],
        "seconds": round(spent, 1),
        "wrong": len(wrong),
        "failed": len(failed),
        "first_failures": failed[:3],
        "bytes_grown_after_the_first_thousand": grown,
        "slots": backend.slots,
        "slots_free_at_the_end": backend.free_slots,
        "same_picture_in_another_batch_size": apart,
        "notes": backend.notes,
    }
    backend.close()
    print(json.dumps(report))
    return 4 if wrong or failed or grown > 0 or report["slots_free_at_the_end"] != report["slots"] else 0


def _apart(single: dict[tuple[int, int], np.ndarray]) -> dict[str, int]:
    """Worst grey levels between a picture alone and the same picture in a batch of n: cuDNN picks by batch size."""
    worst: dict[str, int] = {}
    for (n, first), found in single.items():
        for offset in range(n):
            apart = np.abs(found[offset].astype(int) - single[1, first + offset][0]).max()
            worst[str(n)] = max(int(apart), worst.get(str(n), 0))
    return worst


def _raise(_: object) -> None:
    raise ValueError("thrown by the soak")


def _open(options: argparse.Namespace) -> GpuBackend:
    if not options.model:
        return open_toy(slots=options.slots)
    model = models.get(options.model)
    loaded = select.load(model, model.networks[0], options.artifacts, "cuda", slots=options.slots)
    assert isinstance(loaded.backend, GpuBackend)
    return loaded.backend


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--slots", type=int, default=3)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--most", type=int, default=8)
    parser.add_argument("--model", default="")
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    return parser.parse_args()


if __name__ == "__main__":
    import logging

    logging.getLogger("concurrent.futures").setLevel(logging.CRITICAL)  # the callbacks that raise on purpose
    sys.exit(main())
