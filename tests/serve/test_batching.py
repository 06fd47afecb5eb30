"""Which requests become one run, on backends that differ: slots, profiles, a GPU (faked) that is full."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests.runtime.fake_cuda import FakeCuda, FakeEngine
from trtkit.config import Batching, ShapeRange
from trtkit.models.spec import NetworkSpec, TensorSpec
from trtkit.runtime import device as devices
from trtkit.runtime.cuda_api import OutOfMemory
from trtkit.runtime.gpu import GpuBackend
from trtkit.serve.batcher import Batcher
from trtkit.serve.breaker import Breaker
from trtkit.serve.limits import Limits
from trtkit.serve.opening import open_batcher

from .hands import Hold, eventually, image


@pytest.fixture
def batcher(network) -> Iterator[Callable[..., Batcher]]:
    """batcher(max_batch, slots=…, profiles=…, pixels=…): on the network with hands on it."""
    opened: list[Batcher] = []

    def make(max_batch: int, slots: int = 1, profiles: tuple = (), pixels: int | None = None) -> Batcher:
        network.slots, network.profiles = slots, profiles
        opened.append(Batcher("m/n", [network], max_batch, 0.0, Breaker(5, 1), image(), pixels))
        return opened[0]

    yield make
    for one in opened:
        one.close()


def test_a_third_run_waits_for_a_full_batch_while_two_keep_the_backend_busy(network, batcher):
    made, held = batcher(4, slots=3), Hold(network)
    first = [made.submit(image())]
    eventually(lambda: held.runs == 1)
    first.append(made.submit(image()))
    eventually(lambda: held.runs == 2)
    later = [made.submit(image())]
    time.sleep(0.2)  # several looks at what waits: the delay of 0 is long over
    assert (held.runs, made.depth) == (2, 1)
    later += [made.submit(image()) for _ in range(3)]
    eventually(lambda: held.runs == 3)
    held.release.set()
    for future in first + later:
        future.result(20)
    assert sorted(network.batches) == [1, 1, 4]


def test_what_waits_goes_on_when_a_run_ends(network, batcher):
    made, held = batcher(4, slots=3), Hold(network)
    futures = []
    for number in (1, 2):
        futures.append(made.submit(image()))
        eventually(lambda number=number: held.runs == number)
    futures += [made.submit(image()) for _ in range(2)]
    held.release.set()
    for future in futures:
        future.result(20)
    assert sorted(network.batches) == [1, 1, 2]


def test_a_batch_is_no_larger_than_the_profile_of_its_shape(network, batcher):
    def profile(most: int, side: int) -> dict:
        return {"image": ShapeRange(min=[1, side, side, 3], opt=[1, side, side, 3], max=[most, side, side, 3])}

    made, held = batcher(8, profiles=(profile(8, 4), profile(2, 6))), Hold(network)
    futures = [made.submit(image())]
    eventually(lambda: held.runs == 1)
    futures += [made.submit(image(side=6)) for _ in range(3)] + [made.submit(image(side=4)) for _ in range(3)]
    held.release.set()
    for future in futures:
        future.result(20)
    assert sorted(network.batches) == [1, 1, 2, 3]


def test_all_rows_of_a_run_together_have_no_more_pixels_than_the_memory_is_good_for(network, batcher):
    made, held = batcher(8, pixels=40), Hold(network)
    seen: list[int] = []
    futures = [made.submit(image())]
    eventually(lambda: held.runs == 1)
    futures += [made.submit(image(side=side)) for side in (4, 4, 4, 6, 6, 10)]
    futures.append(made.submit({"image": np.zeros((5, 4, 4, 3), np.uint8)}))
    network.before = lambda arrays: seen.append(arrays["image"][..., 0].size)
    held.release.set()
    for future in futures:
        future.result(20)
    assert sorted(seen) == [16, 16, 32, 32, 32, 36, 36, 100], "one that is larger by itself runs alone"
    assert sum(network.batches) == 12


def test_pictures_that_are_held_are_as_many_as_keep_the_backend_busy(batcher):
    assert batcher(8, slots=3).places == 24


@pytest.mark.parametrize(("backend", "most"), [("cpu", 2), ("cuda", 8), ("tensorrt", 8)])
def test_a_cpu_gets_small_batches(backend, most):
    assert Batching().largest(backend) == most
    assert Batching(max_batch=1).largest(backend) == 1


ROWS = NetworkSpec(
    "rows",
    (TensorSpec("image", "uint8", ("N", "W"), (0, 255)),),
    (TensorSpec("inverted", "uint8", ("N", "W"), (0, 255)),),
)


class SmallEngine(FakeEngine):
    """A fake network on a device with memory for two rows; notes the batches it was given."""

    def __init__(self, place, most: int) -> None:  # type: ignore[no-untyped-def]
        super().__init__(place)
        self.most, self.seen = most, []

    def enqueue(self, slot, shapes) -> None:  # type: ignore[no-untyped-def]
        if shapes["image"][0] > self.most:
            raise OutOfMemory("the arena has no room for it")
        self.seen.append(shapes["image"])
        super().enqueue(slot, shapes)


@pytest.fixture
def gpu() -> Iterator[Callable[[int], tuple[GpuBackend, SmallEngine]]]:
    """gpu(most): a backend on the fake GPU whose memory holds runs of `most` rows."""
    opened: list[GpuBackend] = []

    def make(most: int) -> tuple[GpuBackend, SmallEngine]:
        engines: list[SmallEngine] = []

        def engine(place) -> SmallEngine:  # type: ignore[no-untyped-def]
            engines.append(SmallEngine(place, most))
            return engines[0]

        fake = FakeCuda()
        opened.append(GpuBackend("cuda", 78, lambda _: fake, engine, 2))
        return opened[0], engines[0]

    yield make
    for backend in opened:
        backend.close()
    devices._devices.pop(78, None)


def test_on_a_gpu_every_batch_has_run_before_the_first_client_comes(gpu):
    backend, engine = gpu(4)
    opened = open_batcher("m/rows", [backend], ROWS, Batching(max_batch=4), Limits(workers=1))
    assert {(batch, 8) for batch in (1, 2, 3, 4)} <= set(engine.seen)
    opened.close()


def test_a_gpu_whose_memory_is_full_gets_half_the_batch_and_every_row_is_answered(gpu):
    backend, _ = gpu(2)
    made = Batcher("m/rows", [backend], 4, 5.0, Breaker(5, 1), {"image": np.zeros((1, 8), np.uint8)})
    rows = [np.full((1, 8), value, np.uint8) for value in range(4)]
    with made._change:  # all four are there before a lane looks
        futures = [made.submit({"image": row}) for row in rows]
    for row, future in zip(rows, futures, strict=True):
        np.testing.assert_array_equal(future.result(20)["inverted"], 255 - row)
    assert (made.allowed_batch, made.counts.out_of_memory) == (2, 1)
    assert not made.breaker.open
    made.close()
