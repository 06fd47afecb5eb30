"""What stands around TensorRT's calls: contexts, profiles, activation memory, graphs, refusals. On fakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from trtkit.errors import CheckFailed, Mistake
from trtkit.models.spec import NetworkSpec, TensorSpec
from trtkit.runtime import device as devices
from trtkit.runtime import trt_engine
from trtkit.runtime.gpu import GpuBackend
from trtkit.runtime.rtx_cache import CacheFile
from trtkit.runtime.tensorrt import context_maker
from trtkit.runtime.tensorrt_rtx import RtxEngine
from trtkit.runtime.trt_engine import MOST_CONTEXTS, Plan, TrtEngine

from .fake_cuda import FakeCuda
from .fake_trt import FakeTrt

SPEC = NetworkSpec(
    name="invert",
    inputs=(TensorSpec("image", "uint8", ("N", "W"), (0, 255)),),
    outputs=(TensorSpec("inverted", "uint8", ("N", "W"), (0, 255)),),
)
Opener = Callable[..., GpuBackend]


class FakeGraph:
    """Stands for StreamGraph: replays by enqueuing again. `stale` makes it an empty graph."""

    made: list[FakeGraph]
    stale = False

    def __init__(self, stream: int, enqueue: Callable[[], None]) -> None:
        self.enqueue, self.destroyed, self.launches = enqueue, False, 0
        FakeGraph.made.append(self)

    def launch(self) -> None:
        assert not self.destroyed
        self.launches += 1
        if not FakeGraph.stale:
            self.enqueue()

    def destroy(self) -> None:
        self.destroyed = True


@pytest.fixture
def trt(fake: FakeCuda, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> FakeTrt:
    monkeypatch.setattr(trt_engine, "StreamGraph", FakeGraph)
    monkeypatch.setattr(FakeGraph, "made", [], raising=False)
    return FakeTrt(fake, request.node.name)


@pytest.fixture
def open_trt(fake: FakeCuda, trt: FakeTrt, tmp_path) -> Iterator[Opener]:
    opened: list[GpuBackend] = []

    def make(content: bytes = b"plan of 255 - x", slots: int = 1, rtx: bool = False, spec=SPEC, host=False):
        plan = Plan(content, "invert.engine", spec, host)

        def engine(place):
            if rtx:
                return RtxEngine(trt, plan, place, CacheFile(tmp_path / "invert.engine.rtxcache"))
            return TrtEngine(trt, plan, "Fake 0.0", place, context_maker(trt), own_graphs=False)

        opened.append(GpuBackend("tensorrt", 81, lambda _: fake, engine, slots))
        return opened[-1]

    yield make
    for backend in opened:
        backend.close()
    devices._devices.pop(81, None)


def image(n: int, width: int, value: int = 7) -> dict[str, np.ndarray]:
    return {"image": np.full((n, width), value, np.uint8)}


def test_runs_are_right_before_and_after_the_capture(open_trt):
    backend = open_trt(slots=2)
    with backend.lease({"image": (2, 8)}) as first, backend.lease({"image": (2, 8)}) as second:
        for value in range(8):
            lease = (first, second)[value % 2]
            lease.inputs["image"][...] = value
            assert (lease.run()["inverted"] == 255 - value).all()
        del lease
    assert len(FakeGraph.made) == 2
    assert all(graph.launches > 1 for graph in FakeGraph.made)
    assert backend.notes == []


def test_each_set_of_shapes_has_a_context_of_its_own_and_all_share_one_activation_memory(open_trt, trt):
    backend = open_trt(slots=1)
    for width in (4, 8, 4, 40):
        backend.run(image(1, width))
    contexts = trt.engine.contexts
    assert [(c.profile, c.shape) for c in contexts] == [(0, (1, 8)), (0, (1, 4)), (1, (1, 40))]
    assert len({c.memory for c in contexts}) == 1
    assert contexts[0].memory[1] == 2048
    assert backend.memory.workspace == 2048


def test_the_least_recently_used_context_goes_first(open_trt, trt):
    backend = open_trt()
    for width in range(1, MOST_CONTEXTS + 3):
        backend.run(image(1, width))
        backend.run(image(1, width))
    assert [graph.destroyed for graph in FakeGraph.made[:3]] == [True, True, False]


def test_shapes_outside_every_profile_are_refused_with_the_ranges(open_trt):
    with pytest.raises(Mistake, match="'image' of shape 5x8 is outside every profile; allowed: 1x1 to 4x16 or 1x1 to"):
        open_trt().run(image(5, 8))


def test_a_false_from_execute_is_an_error_not_zeros(open_trt, trt):
    backend = open_trt()
    trt.refuse_runs = True
    with pytest.raises(CheckFailed, match=r"invert\.engine failed on GPU 81.*execute_async_v3 gave false"):
        backend.run(image(1, 8))
    trt.refuse_runs = False
    assert (backend.run(image(1, 8))["inverted"] == 248).all()


@pytest.mark.parametrize("rtx", [False, True])
def test_a_graph_whose_replay_differs_is_not_used_and_said(open_trt, trt, monkeypatch, rtx):
    monkeypatch.setattr(FakeGraph, "stale", True)
    trt.stale_graphs = True
    backend = open_trt(rtx=rtx)
    for value in range(5):
        assert (backend.run(image(1, 8, value))["inverted"] == 255 - value).all()
    assert (
        backend.notes[-1] == "CUDA graphs are off: the one of shapes 1x8 did not repeat the plain run and is not used"
    )


def test_a_graph_that_does_not_launch_is_destroyed_and_said_once(open_trt, monkeypatch):
    def refused(self):
        raise RuntimeError("cuGraphLaunch gave CUDA_ERROR_OUT_OF_MEMORY")

    monkeypatch.setattr(FakeGraph, "launch", refused)
    backend = open_trt()
    for width in range(1, MOST_CONTEXTS + 2):
        for _ in range(3):
            assert (backend.run(image(1, width))["inverted"] == 248).all()
    assert [graph.destroyed for graph in FakeGraph.made] == [True]
    (said,) = backend.notes
    assert (
        said == "CUDA graphs are off: the one of shapes 1x1 gave an error: cuGraphLaunch gave CUDA_ERROR_OUT_OF_MEMORY"
    )


def test_an_engine_that_does_not_load_says_why_in_tensorrt_s_own_words(open_trt):
    with pytest.raises(CheckFailed, match=r"invert\.engine does not load on this GPU: magic tag wrong"):
        open_trt(b"of another version")


def test_host_code_is_allowed_where_the_manifest_says_version_compatible(open_trt, trt):
    open_trt()
    open_trt(host=True)
    assert [runtime.engine_host_code_allowed for runtime in trt.runtimes] == [False, True]


def test_an_engine_of_other_tensors_is_refused(open_trt):
    other = NetworkSpec("other", (TensorSpec("picture", "uint8", ("N",), (0, 1)),), SPEC.outputs)
    with pytest.raises(CheckFailed, match="has the tensors image where the network has picture"):
        open_trt(spec=other)


def test_an_output_of_an_unexpected_shape_is_refused(open_trt, trt):
    trt.output_shape = lambda shape: (1, 1)
    with pytest.raises(CheckFailed, match="output 'inverted' is 1x1 where 1x8 follows from the inputs"):
        open_trt()


def test_everything_of_tensorrt_is_dropped_at_close(open_trt, trt, fake):
    backend = open_trt(slots=2)
    backend.run(image(1, 8))
    backend.run(image(1, 8))
    backend.close()
    assert all(graph.destroyed for graph in FakeGraph.made)
    assert fake.memory_of == {}


def test_rtx_keeps_its_cache_and_says_how_long_cold_and_warm_took(open_trt, tmp_path):
    first = open_trt(rtx=True)
    assert first.notes[0].startswith("loaded cold in 0.")
    first.close()
    assert (tmp_path / "invert.engine.rtxcache").read_bytes() == b"compiled"
    second = open_trt(rtx=True)
    assert second.notes[0].startswith("loaded warm in 0.")
    assert "(cold it took 0." in second.notes[0]


def test_rtx_starts_cold_from_a_cache_it_refuses(open_trt, tmp_path):
    (tmp_path / "invert.engine.rtxcache").write_bytes(b"of another driver")
    assert open_trt(rtx=True).notes[0].startswith("loaded cold")
    assert (tmp_path / "invert.engine.rtxcache").read_bytes() == b"compiled"


def test_rtx_s_own_diagnosis_of_an_engine_comes_before_it_is_loaded(open_trt, trt):
    trt.invalid = True
    with pytest.raises(CheckFailed, match="cannot run here, says TensorRT-RTX: unsupported cc"):
        open_trt(rtx=True)


def test_the_cache_is_keyed_by_engine_gpu_and_driver(tmp_path):
    path = CacheFile.beside(tmp_path / "m.engine", "ab" * 32, "NVIDIA L4").path
    assert path.name.startswith("m.engine.abababababab.nvidia-l4.")
    assert path.suffix == ".rtxcache"
