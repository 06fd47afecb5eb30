"""Slots, jobs and results on the fake GPU: order, reuse, failures, and what is freed when."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from trtkit.errors import CheckFailed, Mistake
from trtkit.runtime import device as devices
from trtkit.runtime import gpu
from trtkit.runtime.cuda_api import DeviceLost, DeviceTooSmall
from trtkit.runtime.gpu import GpuBackend

from .fake_cuda import FakeCuda, FakeEngine


def settled(backend: GpuBackend) -> int:
    """Free slots, once the owner thread has nothing left to do."""
    backend._device.call(lambda: backend._device.land_all())
    return backend.free_slots


def test_run_gives_the_callers_own_arrays(open_fake, rows):
    backend = open_fake()
    first = backend.run(rows(2, 10))["inverted"]
    second = backend.run(rows(2, 20))["inverted"]
    assert (first == 245).all()
    assert (second == 235).all()
    assert first.shape == (2, 8)
    assert backend.free_slots == 3


def test_many_threads_and_batch_sizes_each_get_their_own_result(open_fake):
    backend = open_fake()

    def one(number: int) -> bool:
        image = np.random.default_rng(number).integers(0, 256, (1 + number % 4, 1 + number % 64), np.uint8)
        arrays = {"image": image}
        found = backend.run(arrays) if number % 2 else backend.submit(arrays).result()
        return np.array_equal(found["inverted"], 255 - image)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(400)))
    assert settled(backend) == 3


def test_a_caller_who_waits_runs_on_an_idle_gpu_in_his_own_thread(open_fake, fake, rows):
    backend = open_fake(guests=True)
    for value in range(5):
        assert (backend.run(rows(2, value))["inverted"] == 255 - value).all()
    with backend.lease({"image": (2, 4)}) as lease:
        lease.inputs["image"][...] = 9
        assert (lease.run()["inverted"] == 246).all()
    assert fake.guests == 6
    assert settled(backend) == 3
    backend.submit(rows(2, 1)).result()
    assert fake.guests == 6, "nobody waits in a submit"


def test_a_caller_who_finds_the_gpu_busy_is_no_guest(open_fake, fake, rows):
    backend = open_fake(guests=True)
    futures = [backend.submit(rows(1, value)) for value in range(2)]
    assert (backend.run(rows(1, 7))["inverted"] == 248).all()
    assert fake.guests == 0
    assert [int(future.result()["inverted"][0, 0]) for future in futures] == [255, 254]


def test_guests_and_the_owner_take_turns_under_load(open_fake, fake):
    backend = open_fake(guests=True)

    def one(number: int) -> bool:
        image = np.random.default_rng(number).integers(0, 256, (1 + number % 4, 1 + number % 64), np.uint8)
        arrays = {"image": image}
        found = backend.submit(arrays).result() if number % 3 == 0 else backend.run(arrays)
        return np.array_equal(found["inverted"], 255 - image)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(one, range(400)))
    assert settled(backend) == 3
    guests = fake.guests
    assert one(400)
    assert fake.guests == guests + 1, "idle again"


def test_a_guest_whose_run_fails_leaks_nothing_and_leaves(open_fake, fake, rows):
    backend = open_fake(guests=True, raise_on=66)
    for _ in range(4):
        with pytest.raises(CheckFailed, match=r"the fake network failed on GPU 77 \(Fake GPU\): the library refused"):
            backend.run(rows(1, 66))
    assert (backend.run(rows(1, 1))["inverted"] == 254).all()
    assert fake.guest is None
    assert settled(backend) == 3


def test_a_guest_that_kills_the_context_marks_it_dead_for_everyone(open_fake, fake, rows):
    backend = open_fake(guests=True, poison_on=13)
    with pytest.raises(DeviceLost, match="an illegal memory"):
        backend.run(rows(1, 13))
    with pytest.raises(DeviceLost):
        backend.submit(rows(1, 1))
    assert fake.abandoned
    assert fake.guest is None


def test_the_owner_outlives_a_guest_that_finds_the_context_dead_beside_a_job_in_flight(open_fake, fake, rows):
    """The owner listens beside the job, and finds nothing in flight when it wants to land it."""
    backend = open_fake(guests=True, poison_on=13)
    backend._usual[((1, 8),)] = 0.2
    launch, started = fake.launch, threading.Event()

    def slow(stream, work):
        launch(stream, lambda: (started.wait(5), work()))

    fake.launch = slow
    raised: list[BaseException] = []

    def guest() -> None:
        try:
            backend.run(rows(1, 13))
        except DeviceLost as error:
            raised.append(error)

    thread = threading.Thread(target=guest)
    thread.start()
    wait_until(lambda: fake.guests == 1)
    beside = backend.submit(rows(1, 1))
    wait_until(lambda: backend._device.busy)
    started.set()
    thread.join(5)
    assert len(raised) == 1
    assert isinstance(beside.exception(timeout=5), DeviceLost)
    time.sleep(0.2)  # the owner has listened long enough
    assert backend._device.call(lambda: "still here") == "still here"


def test_a_guest_interrupted_while_it_waits_gives_its_slot_back_later(open_fake, fake, rows, monkeypatch):
    backend = open_fake(slots=1, guests=True)
    synchronize = fake.synchronize

    def interrupted(event):
        monkeypatch.setattr(fake, "synchronize", synchronize)
        raise KeyboardInterrupt

    monkeypatch.setattr(fake, "synchronize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        backend.run(rows(1, 1))
    assert settled(backend) == 1
    assert (backend.run(rows(1, 2))["inverted"] == 253).all()


def test_more_requests_than_slots_wait_in_turn(open_fake, rows):
    backend = open_fake(slots=1)
    order: list[int] = []
    futures = []
    for number in range(20):
        future = backend.submit(rows(1, number))
        future.add_done_callback(lambda _, number=number: order.append(number))
        futures.append(future)
    assert [int(future.result()["inverted"][0, 0]) for future in futures] == [255 - n for n in range(20)]
    assert order == list(range(20))


def test_views_hold_their_slot_until_the_last_slice_is_gone(open_fake, rows):
    backend = open_fake(slots=2)
    held = backend.submit(rows(2, 1), copy=False).result()
    piece = held["inverted"][1, 2:5]
    del held
    for value in range(50):
        backend.run(rows(4, value, 64))
    assert (piece == 254).all()
    assert settled(backend) == 1
    del piece
    gc.collect()
    assert settled(backend) == 2


def test_a_view_that_nobody_fetched_gives_its_slot_back(open_fake, rows):
    backend = open_fake(slots=1)
    backend.submit(rows(1, 1), copy=False).result()
    assert (backend.run(rows(1, 2))["inverted"] == 253).all()


def test_a_lease_is_filled_and_read_in_place(open_fake):
    backend = open_fake(slots=2)
    with backend.lease({"image": (2, 4)}) as lease:
        for value in (3, 4):
            lease.inputs["image"][...] = value
            assert (lease.run()["inverted"] == 255 - value).all()
        assert backend.free_slots == 1
        kept = lease.outputs["inverted"]
    assert settled(backend) == 1, "its output is still held"
    del kept
    assert settled(backend) == 2
    with pytest.raises(Mistake, match="released"):
        lease.run()


def test_a_lease_that_is_released_during_its_run_keeps_its_slot_until_the_run_is_over(open_fake, fake, rows):
    backend = open_fake(slots=1)
    launch, go = fake.launch, threading.Event()
    fake.launch = lambda stream, work: launch(stream, lambda: (go.wait(5), work()))
    with backend.lease({"image": (1, 8)}) as lease:
        lease.inputs["image"][...] = 9
        run = lease.submit()
    assert backend.free_slots == 0
    other = backend.submit(rows(1, 77))
    go.set()
    found = run.result(5)
    assert (found["inverted"] == 246).all()
    assert not other.done(), "the result is still held"
    del found, run
    assert (other.result(5)["inverted"] == 178).all()
    assert settled(backend) == 1


def test_a_lease_interrupted_as_a_guest_keeps_its_slot_until_the_gpu_is_done(open_fake, fake, monkeypatch):
    backend = open_fake(slots=1, guests=True)
    synchronize, go, launch = fake.synchronize, threading.Event(), fake.launch
    fake.launch = lambda stream, work: launch(stream, lambda: (go.wait(5), work()))

    def interrupted(event):
        monkeypatch.setattr(fake, "synchronize", synchronize)
        raise KeyboardInterrupt

    monkeypatch.setattr(fake, "synchronize", interrupted)

    def interrupted_run() -> None:
        with pytest.raises(KeyboardInterrupt), backend.lease({"image": (1, 8)}) as lease:
            lease.run()

    interrupted_run()
    gc.collect()  # the traceback that pytest kept
    assert backend.free_slots == 0
    go.set()
    assert settled(backend) == 1


def test_a_lease_waits_for_a_free_slot(open_fake):
    backend = open_fake(slots=1)
    first = backend.lease({"image": (1, 4)})
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(backend.lease, {"image": (1, 4)})
        time.sleep(0.05)
        assert not second.done()
        first.release()
        second.result(timeout=5).release()
        del second
    assert settled(backend) == 1


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"image": np.zeros((5, 8), np.uint8)}, "'image' of shape 5x8 is outside every profile; allowed: 1x1 to 4x64"),
        ({"image": np.zeros((1, 8), np.float32)}, "'image' is float32 1x8; the network takes uint8"),
        ({"picture": np.zeros((1, 8), np.uint8)}, "'image' is missing"),
    ],
)
def test_wrong_inputs_are_refused_by_name_before_they_take_a_slot(open_fake, arrays, words):
    backend = open_fake()
    for call in (backend.run, backend.submit):
        with pytest.raises(Mistake, match=words):
            call(arrays)
    assert backend.free_slots == 3


def test_a_lease_of_a_wrong_shape_is_refused(open_fake):
    with pytest.raises(Mistake, match="outside every profile"):
        open_fake().lease({"image": (5, 8)})


def test_a_failed_run_names_the_network_and_leaks_nothing(open_fake, rows):
    backend = open_fake(raise_on=66)
    for _ in range(7):
        with pytest.raises(CheckFailed, match=r"the fake network failed on GPU 77 \(Fake GPU\): the library refused"):
            backend.run(rows(1, 66))
    assert (backend.run(rows(1, 1))["inverted"] == 254).all()
    assert settled(backend) == 3


def test_a_callback_that_raises_anything_leaks_nothing(open_fake, rows):
    backend = open_fake()

    def stop(_):
        raise SystemExit

    def fail(_):
        raise ValueError("in a callback")

    for callback in (stop, fail) * 5:
        backend.submit(rows(1, 1)).add_done_callback(callback)
    assert (backend.run(rows(1, 3))["inverted"] == 252).all()
    assert settled(backend) == 3


def test_a_callback_may_not_run_the_network_itself(open_fake, rows):
    backend = open_fake()
    raised: list[BaseException] = []
    called = threading.Event()

    def callback(_):
        try:
            backend.run(rows(1, 1))
        except Mistake as error:
            raised.append(error)
        called.set()

    backend.submit(rows(1, 1)).add_done_callback(callback)
    assert called.wait(5)
    assert "hand the work to another thread" in str(raised[0])


def test_cancelled_requests_leak_nothing(open_fake, rows):
    backend = open_fake(slots=2)
    held = [backend.lease({"image": (1, 8)}) for _ in range(2)]
    waiting = [backend.submit(rows(1, n)) for n in range(10)]
    assert all(future.cancel() for future in waiting[::2])
    held.clear()
    assert [int(f.result()["inverted"][0, 0]) for f in waiting[1::2]] == [254, 252, 250, 248, 246]
    assert settled(backend) == 2


def test_out_of_memory_is_a_sentence_with_the_plan_and_frees_what_it_took(open_fake, fake, rows):
    with pytest.raises(DeviceTooSmall) as raised:
        open_fake(slots=3, most=20_000)
    sentence = str(raised.value)
    assert "3 slots of image 1.2 MiB (20000x64), inverted 1.2 MiB (20000x64)" in sentence
    assert "1.0 MiB of 1.0 MiB free" in sentence
    assert fake.memory_of == {}
    assert fake.pinned_now == []
    assert (open_fake().run(rows(1, 1))["inverted"] == 254).all()


def test_close_frees_everything_in_order_and_twice_is_harmless(open_fake, fake, rows):
    backend = open_fake()
    futures = [backend.submit(rows(1, n)) for n in range(10)]
    backend.close()
    assert [int(f.result()["inverted"][0, 0]) for f in futures] == [255 - n for n in range(10)]
    assert backend.fake_engine.closed
    assert fake.memory_of == {}
    assert fake.pinned_now == []
    assert fake.events == []
    wait_until(lambda: fake.closed == 1)
    backend.close()
    with pytest.raises(Mistake, match="closed"):
        backend.run(rows(1, 1))


def test_views_outlive_the_backend(open_fake, fake, rows):
    backend = open_fake()
    view = backend.submit(rows(1, 9), copy=False).result()["inverted"]
    backend.close()
    assert (view == 246).all()
    assert len(fake.pinned_now) == 2
    del view
    wait_until(lambda: fake.closed == 1)
    assert fake.pinned_now == []


def test_two_networks_share_the_device_and_the_last_one_closes_it(open_fake, fake, rows):
    first, second = open_fake(), open_fake(slots=1)
    assert fake.opened == 1
    futures = [backend.submit(rows(1, n)) for n in range(20) for backend in (first, second)]
    assert all(future.result() for future in futures)
    first.close()
    assert fake.closed == 0
    assert (second.run(rows(1, 1))["inverted"] == 254).all()
    second.close()
    wait_until(lambda: fake.closed == 1)


def test_a_dead_context_ends_every_waiter_and_nothing_is_freed_or_hangs(open_fake, fake, rows):
    backend = open_fake(slots=2, poison_on=13)
    held = backend.lease({"image": (1, 8)})
    futures = [backend.submit(rows(1, value)) for value in (13, 1, 2, 3, 4)]
    for future in futures:
        with pytest.raises(DeviceLost, match=r"GPU 77 \(Fake GPU\) is lost to this process \(an illegal memory"):
            future.result(timeout=5)
    for call in (lambda: backend.run(rows(1, 1)), lambda: held.run(), lambda: backend.lease({"image": (1, 8)})):
        with pytest.raises(DeviceLost):
            call()
    assert backend.lost == "an illegal memory access was encountered"
    assert backend.fake_engine.abandoned
    assert fake.abandoned
    with pytest.raises(DeviceLost):
        open_fake()
    began = time.perf_counter()
    backend.close()
    assert time.perf_counter() - began < 2
    assert fake.closed == 0


def test_stage_times_are_handed_out(fake):
    seen: list[dict[str, float]] = []
    backend = GpuBackend("cuda", 78, lambda _: FakeCuda(), FakeEngine, 1)
    backend.run({"image": np.zeros((1, 4), np.uint8)})
    backend.on_stages = seen.append
    backend.run({"image": np.zeros((1, 4), np.uint8)})
    backend.close()
    assert seen == [{"copy in": 1.0, "run": 1.0, "copy out": 1.0}]


def test_a_result_that_cannot_be_delivered_is_told_and_the_owner_goes_on(open_fake, rows, monkeypatch):
    backend = open_fake()

    def used_up(*_):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(backend, "_output", used_up)
        future = backend.submit(rows(1, 1))
        with pytest.raises(CheckFailed, match=r"the fake network failed on GPU 77 \(Fake GPU\): MemoryError"):
            future.result(5)
    assert (backend.submit(rows(1, 1)).result(5)["inverted"] == 254).all()
    assert settled(backend) == 3


def test_posted_work_that_raises_does_not_end_the_owner(open_fake, rows, caplog):
    backend = open_fake()

    def wrong() -> None:
        raise ValueError("in the owner")

    backend._device.post(wrong)
    assert (backend.run(rows(1, 1))["inverted"] == 254).all()
    assert "the thread of GPU 77 goes on after an error" in caplog.text


@pytest.mark.parametrize("call", ["run", "lease"])
def test_a_caller_whom_a_close_overtakes_gets_a_sentence(open_fake, rows, monkeypatch, call):
    backend = open_fake(slots=1)
    take = backend._take

    def overtaken():
        backend.close()
        return take()

    monkeypatch.setattr(backend, "_take", overtaken)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(backend.run, rows(1, 1)) if call == "run" else pool.submit(backend.lease, {"image": (1, 8)})
        with pytest.raises(Mistake, match="was closed while the request waited"):
            asked.result(timeout=5)


def test_a_slot_that_is_taken_while_the_backend_closes_is_freed_when_it_comes_back(open_fake, fake, monkeypatch):
    backend = open_fake(slots=1)
    taken: list = []

    class Contested(deque):
        def popleft(self):
            taken.append(self.pop())
            return super().popleft()

    monkeypatch.setattr(backend, "_free", Contested(backend._free))
    backend.close()
    assert len(fake.pinned_now) == 2
    monkeypatch.setattr(backend, "_free", deque())
    backend._give_back(taken[0])
    wait_until(lambda: fake.closed == 1)
    assert fake.pinned_now == []


def test_a_forked_child_that_leaves_a_with_block_gets_the_sentence_and_does_not_hang(open_fake, rows):
    backend = open_fake()
    backend.run(rows(1, 1))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with backend:
                backend.run(rows(1, 1))
        except Mistake as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    said: list[bytes] = []
    reader = threading.Thread(target=lambda: said.append(os.read(read, 1000)), daemon=True)
    reader.start()
    reader.join(10)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read)
    assert b"CUDA does not survive a fork" in said[0]
    assert (backend.run(rows(1, 1))["inverted"] == 254).all()


def test_two_warm_ups_at_once_end(open_fake):
    backend = open_fake(slots=2)
    threads = [threading.Thread(target=backend.warm_up, args=({"image": (1, 8)},), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert settled(backend) == 2


def test_a_lease_knows_its_inputs_in_the_networks_order(open_fake, monkeypatch):
    """Engines know a set of shapes by their order."""
    backend = open_fake()
    monkeypatch.setattr(backend, "inputs", {"image": backend.inputs["image"], "other": backend.inputs["image"]})
    monkeypatch.setattr(gpu, "profile_of", lambda *_: 0)
    monkeypatch.setattr(backend, "_held_views", lambda _, tensors: dict.fromkeys(tensors))
    lease = backend.lease({"other": (1, 2), "image": (1, 4)})
    assert list(lease._shapes.items()) == [("image", (1, 4)), ("other", (1, 2))]


@pytest.mark.parametrize("dies", [False, True])
def test_an_engine_that_fails_while_it_opens_is_a_sentence_and_leaves_nothing(fake, rows, dies):
    class Failing(FakeEngine):
        def attach(self, slot):
            super().attach(slot)
            if dies:
                fake.dead = "an illegal memory access was encountered"
            raise RuntimeError("the library\nrefused")

    expected = (DeviceLost, "is lost to this process") if dies else (CheckFailed, "the cuda backend did not open on")
    try:
        with pytest.raises(expected[0], match=expected[1]):
            GpuBackend("cuda", 76, lambda _: fake, Failing, 1)
        if dies:
            with pytest.raises(DeviceLost):
                GpuBackend("cuda", 76, lambda _: FakeCuda(), FakeEngine, 1)
        else:
            assert (fake.memory_of, fake.pinned_now, fake.events) == ({}, [], [])
            wait_until(lambda: fake.closed == 1)
            assert 76 not in devices._devices
    finally:
        devices._devices.pop(76, None)


def test_streams_that_cannot_be_made_leave_no_context_behind(fake, monkeypatch):
    def refused():
        raise RuntimeError("no stream")

    monkeypatch.setattr(fake, "stream", refused)
    with pytest.raises(RuntimeError, match="no stream"):
        GpuBackend("cuda", 76, lambda _: fake, FakeEngine, 1)
    assert (fake.opened, fake.closed) == (1, 1)
    assert 76 not in devices._devices


def test_no_slot_is_no_backend(fake):
    with pytest.raises(Mistake, match="slots is 0"):
        GpuBackend("cuda", 79, lambda _: fake, FakeEngine, 0)


def wait_until(condition) -> None:
    end = time.perf_counter() + 5
    while not condition():
        assert time.perf_counter() < end
        time.sleep(0.001)
