"""The real thing: pycuda, ONNX Runtime's CUDA provider and CUDA graphs on an NVIDIA GPU."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from trtkit.errors import CheckFailed
from trtkit.runtime.cpu import CpuBackend
from trtkit.runtime.cuda_api import DeviceTooSmall
from trtkit.runtime.fused.program import FusedProgram
from trtkit.runtime.gpu import GpuBackend

from .fused.networks import guided, two_levels
from .toy_network import PROFILES, toy_network

pytestmark = pytest.mark.gpu


def open_toy(slots: int = 3, content: bytes | None = None, **options) -> GpuBackend:
    from trtkit.runtime.ort_cuda import OrtCudaEngine
    from trtkit.runtime.pycuda_api import PyCuda

    content = content or toy_network()
    return GpuBackend("cuda", 0, PyCuda, lambda place: OrtCudaEngine(content, place, PROFILES, **options), slots)


@pytest.fixture(scope="module")
def toy() -> Iterator[GpuBackend]:
    with open_toy() as backend:
        yield backend


def picture(n: int, side: int = 64, seed: int = 0) -> dict[str, np.ndarray]:
    return {"image": np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), np.uint8)}


def free_bytes() -> int:
    import pycuda.driver as drv

    context = drv.Device(0).retain_primary_context()
    context.push()
    try:
        return int(drv.mem_get_info()[0])
    finally:
        context.pop()
        context.detach()


def test_it_gives_what_the_cpu_gives(toy):
    with CpuBackend(toy_network()) as cpu:
        for n in (1, 3, 8):
            for _ in range(4):  # plain, captured, replayed
                found = toy.run(picture(n))["map"]
            expected = cpu.run(picture(n))["map"]
            assert found.dtype == np.uint8
            assert np.abs(found.astype(int) - expected).max() <= 1
    assert toy.notes == []


@pytest.mark.parametrize("network", [two_levels, guided])
def test_a_fused_network_gives_what_the_exported_one_gives_at_every_shape_again_and_again(network):
    content = network().SerializeToString()
    kinds = [(n, side) for n in (8, 1, 3, 5) for side in (64, 32, 48)]
    found: dict[tuple, np.ndarray] = {}
    with open_toy(content=content, quick=False, graphs=False) as plain:
        expected = {kind: plain.run(picture(*kind))["map"] for kind in kinds}
    with open_toy(content=content) as quick:
        assert isinstance(quick._engine._program, FusedProgram)
        for _ in range(4):  # what other shapes make or drop must not disturb a graph
            for kind in kinds:
                again = quick.run(picture(*kind))["map"]
                assert np.array_equal(found.setdefault(kind, again), again)
        assert quick.notes == []
    for kind in kinds:
        assert np.abs(found[kind].astype(int) - expected[kind]).max() <= 2
        assert expected[kind].std() > 5


def test_graphs_of_more_shapes_than_are_kept_come_and_go(toy):
    """Their memory goes with them: after the second round the third takes nothing more."""
    from trtkit.runtime.ort_cuda import MOST_SHAPES

    content = two_levels().SerializeToString()
    with open_toy(slots=1, content=content) as backend:
        free = []
        for _ in range(3):
            for n in range(1, 9):
                for side in (32, 40, 48):
                    for _ in range(4):  # twice plain, captured, replayed
                        backend.run(picture(n, side))
            free.append(free_bytes())
        assert MOST_SHAPES < 8 * 3
        assert free[2] > free[1] - (2 << 20)
        assert backend.notes == []


def test_a_caller_who_waits_alone_is_the_guest(toy):
    toy.warm_up({"image": (1, 64, 64, 3)})
    device, seen = toy._device, []
    enter, begin = device.enter, toy._begin
    device.enter = lambda: seen.append(enter()) or seen[-1]
    toy._begin = lambda *arguments: seen.append("owner") or begin(*arguments)
    try:
        with toy.lease({"image": (1, 64, 64, 3)}) as lease:
            lease.inputs["image"][...] = picture(1)["image"]
            assert np.array_equal(lease.run()["map"], toy.run(picture(1))["map"])
            assert seen == [True, True]
            toy.submit(picture(1)).result()
        assert seen == [True, True, "owner"]
    finally:
        del device.enter, toy._begin


def test_graphs_give_what_plain_runs_give_bit_for_bit(toy):
    with open_toy(graphs=False) as plain:
        for n in range(1, 9):
            for seed in range(4):
                arrays = picture(n, seed=seed)
                assert np.array_equal(toy.run(arrays)["map"], plain.run(arrays)["map"])


def test_threads_and_batch_sizes_at_random_give_the_single_threaded_results(toy):
    kinds = [(n, side, seed) for n in range(1, 9) for side in (32, 64) for seed in range(3)]
    expected = {kind: toy.run(picture(*kind))["map"] for kind in kinds}

    def one(number: int) -> bool:
        kind = kinds[number % len(kinds)]
        arrays = picture(*kind)
        found = toy.run(arrays) if number % 3 else toy.submit(arrays, copy=bool(number % 2)).result()
        return np.array_equal(found["map"], expected[kind])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, np.random.default_rng(0).permutation(2000).tolist()))
    settle(toy)
    assert toy.free_slots == 3


def test_a_lease_runs_in_place(toy):
    expected = toy.run(picture(2))["map"]
    with toy.lease({"image": (2, 64, 64, 3)}) as lease:
        lease.inputs["image"][...] = picture(2)["image"]
        for _ in range(5):
            lease.outputs["map"][...] = 0
            assert np.array_equal(lease.run()["map"], expected)


def test_small_requests_travel_in_a_graph_and_large_ones_by_the_copy_engines(monkeypatch):
    from trtkit.runtime import ort_cuda

    content = two_levels().SerializeToString()
    found = {}
    usual = ort_cuda.MOST_CARRIED
    for most in (usual, 0):
        monkeypatch.setattr(ort_cuda, "MOST_CARRIED", most)
        with open_toy(slots=1, content=content) as backend:
            for n in (1, 3):
                for _ in range(4):
                    backend.run(picture(n, 37))
                found[most, n] = backend.run(picture(n, 37, seed=1))["map"]
            graphs = [(each.graph, each.round_trip) for each in backend._engine._bound[0].values()]
            assert [(run is not None, trip is not None) for run, trip in graphs] == [(True, most > 0)] * 2
    for n in (1, 3):
        assert np.array_equal(found[usual, n], found[0, n])
        assert found[0, n].std() > 5


def test_memory_is_flat_and_comes_back(toy):
    before = free_bytes()
    backend = open_toy(slots=2)
    for n in range(1, 9):
        for _ in range(4):
            backend.run(picture(n))
    during = free_bytes()
    for _ in range(300):
        backend.run(picture(8))
    assert free_bytes() == during
    backend.close()
    # ONNX Runtime keeps a little per process (handles of cuDNN and cuBLAS).
    assert before - free_bytes() < 64 << 20


def test_too_large_a_plan_is_a_sentence_and_the_process_goes_on(toy):
    from trtkit.config import ShapeRange
    from trtkit.runtime.ort_cuda import OrtCudaEngine
    from trtkit.runtime.pycuda_api import PyCuda

    huge = [{"image": ShapeRange(min=[1, 32, 32, 3], opt=[1, 64, 64, 3], max=[4096, 8192, 8192, 3])}]
    before = free_bytes()
    with pytest.raises(DeviceTooSmall, match=r"3 slots of image 768\.0 GiB \(4096x8192x8192x3\)"):
        GpuBackend("cuda", 0, PyCuda, lambda place: OrtCudaEngine(toy_network(), place, huge), 3)
    assert before - free_bytes() < 64 << 20
    assert toy.run(picture(1))["map"].shape == (1, 64, 64, 1)


def test_a_fused_network_that_does_not_fit_is_a_sentence_with_its_activations(toy):
    from trtkit.config import ShapeRange
    from trtkit.runtime.ort_cuda import OrtCudaEngine
    from trtkit.runtime.pycuda_api import PyCuda

    content = two_levels(widths=(256, 256)).SerializeToString()
    most = [{"image": ShapeRange(min=[1, 32, 32, 3], opt=[1, 64, 64, 3], max=[128, 1024, 1024, 3])}]
    before = free_bytes()
    with pytest.raises(
        DeviceTooSmall, match=r"1 slots of image 384\.0 MiB .*, and [0-9,.]+ GiB of activations for all"
    ):
        GpuBackend("cuda", 0, PyCuda, lambda place: OrtCudaEngine(content, place, most), 1)
    assert before - free_bytes() < 64 << 20
    assert toy.run(picture(1))["map"].shape == (1, 64, 64, 1)


def test_out_of_memory_in_a_run_is_a_sentence_and_the_backend_goes_on():
    with open_toy(provider_options={"gpu_mem_limit": str(4 << 20)}, graphs=False) as backend:
        small = backend.run(picture(1, 32))["map"]
        for _ in range(4):
            with pytest.raises(DeviceTooSmall, match="ran out of memory in a run"):
                backend.run(picture(8, 64))
        assert np.array_equal(backend.run(picture(1, 32))["map"], small)
        settle(backend)
        assert backend.free_slots == 3


def test_failures_all_around_leak_no_slot(toy):
    def fail(_):
        raise ValueError("in a callback")

    leases = [toy.lease({"image": (1, 32, 32, 3)}) for _ in range(3)]
    waiting = [toy.submit(picture(1, 32)) for _ in range(8)]
    assert all(future.cancel() for future in waiting[::2])
    for future in waiting[1::2]:
        future.add_done_callback(fail)
    leases.clear()
    assert all(future.result() for future in waiting[1::2])
    views = [toy.submit(picture(1, 32), copy=False).result() for _ in range(3)]
    del views
    settle(toy)
    assert toy.free_slots == 3


def test_an_output_that_follows_from_no_input_is_refused(toy):
    from trtkit.runtime.ort_cuda import OrtCudaEngine
    from trtkit.runtime.pycuda_api import PyCuda

    content = toy_network(dynamic_output=True)
    with pytest.raises(CheckFailed, match="the size of output 'map' along 'K' follows from no input"):
        GpuBackend("cuda", 0, PyCuda, lambda place: OrtCudaEngine(content, place, PROFILES), 1)


def test_a_stream_capture_replays_what_was_captured(toy):
    """What the tensorrt backend captures with, on copies instead of TensorRT's kernels."""
    from trtkit.runtime.stream_graph import StreamGraph

    device = toy._device

    def work() -> list[int]:
        cuda, stream = device.cuda, device.streams.run
        source, target = cuda.pinned(1 << 16), cuda.pinned(1 << 16)
        address, done = cuda.alloc(1 << 16), cuda.event()

        def enqueue() -> None:
            cuda.copy_in(address, source, stream)
            cuda.copy_out(target, address, stream)

        def finish() -> None:
            cuda.record(done, stream)
            cuda.synchronize(done)

        enqueue()
        finish()
        graph = StreamGraph(cuda.handle(stream), enqueue)
        seen = []
        for value in (3, 4):
            source[:] = value
            graph.launch()
            finish()
            seen.append(int(target.max()))
        with pytest.raises(ZeroDivisionError):
            StreamGraph(cuda.handle(stream), lambda: 1 / 0)
        enqueue()  # the stream is usable again
        finish()
        graph.destroy()
        for array in (source, target):
            cuda.free_pinned(array)
        cuda.free(address)
        cuda.drop(done)
        return seen

    assert device.call(work) == [3, 4]
    assert toy.run(picture(1))["map"].shape == (1, 64, 64, 1)


def test_the_engine_layer_runs_a_tensorrt_shaped_engine_with_graphs_on_the_real_gpu():
    """TrtEngine itself, its contexts being a device copy: the capture, the compare and the replay are real."""
    from trtkit.models.spec import NetworkSpec, TensorSpec
    from trtkit.runtime.pycuda_api import PyCuda
    from trtkit.runtime.tensorrt import context_maker
    from trtkit.runtime.trt_engine import Plan, TrtEngine

    from .copying_trt import CopyingTrt

    spec = NetworkSpec(
        "copy",
        (TensorSpec("image", "uint8", ("N", "W"), (0, 255)),),
        (TensorSpec("inverted", "uint8", ("N", "W"), (0, 255)),),
    )
    trt = CopyingTrt()
    plan = Plan(b"plan of 255 - x", "copy.engine", spec)
    with GpuBackend(
        "tensorrt", 0, PyCuda, lambda place: TrtEngine(trt, plan, "copy", place, context_maker(trt), False), 2
    ) as backend:
        for value in range(12):
            image = np.full((2, 16), value, np.uint8)
            assert (backend.run({"image": image})["inverted"] == value).all()
        assert backend.notes == []
        assert all(ready.graph for each in backend._engine._ready.values() for ready in each.values() if ready.runs > 1)


def test_torch_in_the_same_process_before_and_after(toy):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    x = torch.arange(1000, device="cuda", dtype=torch.float32)
    expected = toy.run(picture(2))["map"]
    done = threading.Event()

    def busy() -> None:
        while not done.is_set():
            (torch.randn(256, 256, device="cuda") @ torch.randn(256, 256, device="cuda")).sum().item()

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        with open_toy(slots=2) as other:  # opened, captured and closed while torch works
            for _ in range(50):
                assert np.array_equal(other.run(picture(2))["map"], expected)
    finally:
        done.set()
        thread.join()
    assert float(x.sum()) == 499500.0
    assert np.array_equal(toy.run(picture(2))["map"], expected)


START = """
    import sys, time, numpy as np
    sys.path.insert(0, {root!r})
    from tests.runtime.test_on_gpu import open_toy, picture
"""


def child(code: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    root = os.fspath(__import__("pathlib").Path(__file__).resolve().parents[2])
    script = textwrap.dedent(START.format(root=root)) + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=timeout, check=False, cwd=root
    )


def test_a_sticky_error_ends_every_waiter_and_the_process_exits_at_once():
    done = child("""
        from tests.runtime.illegal_address import strike
        from trtkit.runtime.cuda_api import DeviceLost
        backend = open_toy(slots=2)
        backend.run(picture(1))
        held = backend.submit(picture(1), copy=False).result()
        strike(backend)
        told = []
        futures = []
        for _ in range(10):
            try:
                futures.append(backend.submit(picture(1)))
            except DeviceLost as error:  # found out by now
                told.append(str(error))
        for future in futures:
            try:
                future.result(timeout=10)
            except DeviceLost as error:
                told.append(str(error))
        try:
            backend.run(picture(1))
        except DeviceLost as error:
            told.append(str(error))
        assert len(told) == 11, told
        print(told[-1])
        print("ENDS", time.time(), flush=True)
    """)
    ended = time.time()
    assert done.returncode == 0, done.stderr
    assert "is lost to this process" in done.stdout
    assert "illegal" in done.stdout
    assert ended - float(done.stdout.split("ENDS")[1]) < 2


def test_a_forked_child_gets_a_sentence_and_its_parent_works_on():
    done = child("""
        import os
        backend = open_toy(slots=2)
        expected = backend.run(picture(1))["map"]
        read, write = os.pipe()
        if os.fork() == 0:
            from trtkit.errors import Mistake
            for call in (lambda: backend.run(picture(1)), open_toy):
                try:
                    call()
                    os.write(write, b"it ran")
                except Mistake as error:
                    os.write(write, str(error).encode() + b"|")
            # As multiprocessing's forked children end. The C++ destructors of a forked CUDA process crash on the way
            # out of sys.exit, with pycuda alone and with ONNX Runtime alone, too.
            os._exit(0)
        _, status = os.wait()
        print(os.read(read, 4096).decode(), "STATUS", status)
        assert np.array_equal(backend.run(picture(1))["map"], expected)
        print("PARENT WORKS")
        backend.close()
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("CUDA does not survive a fork; start it with multiprocessing.get_context('spawn')") == 2
    assert "STATUS 0" in done.stdout
    assert "PARENT WORKS" in done.stdout


def test_a_spawned_child_works_beside_its_parent():
    done = child("""
        import multiprocessing
        from tests.runtime.spawned import run_toy
        if __name__ == "__main__":
            backend = open_toy(slots=1)
            expected = backend.run(picture(1))["map"]
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                for found in pool.map(run_toy, range(2)):
                    assert np.array_equal(found, expected)
            print("SPAWNED")
    """)
    assert done.returncode == 0, done.stderr
    assert "SPAWNED" in done.stdout


@pytest.mark.parametrize("how", ["closed", "left open", "views held", "raised"])
def test_the_interpreter_ends_cleanly_however_it_is_left(how):
    done = child(f"""
        backend = open_toy(slots=2)
        backend.run(picture(1))
        how = {how!r}
        if how == "closed":
            backend.close()
        if how == "views held":
            held = backend.submit(picture(1), copy=False).result()
        if how == "raised":
            pending = [backend.submit(picture(8)) for _ in range(20)]
            raise KeyError("of the user's own")
    """)
    assert done.returncode == (1 if how == "raised" else 0), done.stderr
    for word in ("PyCUDA", "context stack", "CUDA error", "invalid context", "Fatal", "terminate"):
        assert word not in done.stderr
    assert "context stack was not empty" not in done.stdout


def test_pycuda_s_context_stack_is_left_as_it_was():
    done = child("""
        import pycuda.driver as drv
        with open_toy(slots=1) as backend:
            backend.run(picture(1))
            assert drv.Context.get_current() is None if hasattr(drv.Context, "get_current") else True
        context = drv.Device(0).retain_primary_context()
        context.push()
        pointer = drv.mem_alloc(1024)
        pointer.free()
        context.pop()
        context.detach()
        print("FINE")
    """)
    assert done.returncode == 0, done.stderr
    assert "FINE" in done.stdout


def settle(backend: GpuBackend) -> None:
    gc.collect()
    end = time.perf_counter() + 5
    while backend.free_slots < backend.slots and time.perf_counter() < end:
        time.sleep(0.001)
