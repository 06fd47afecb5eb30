"""The `cuda` backend's engine: which way a network is run, its graphs, and what happens when they fail.

On this processor: kernels are compiled by g++ (host_cuda.py), ONNX Runtime runs on the CPU, and a stand-in replays a
graph by queuing its work again. The tests marked `gpu` run the same on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trtkit.config import ShapeRange
from trtkit.errors import CheckFailed, MissingComponent, Mistake
from trtkit.runtime import copy_kernel, ort_cuda, ort_program
from trtkit.runtime.fused.convolutions import Convolutions
from trtkit.runtime.fused.program import FusedProgram
from trtkit.runtime.gpu import Place
from trtkit.runtime.ort_cuda import MOST_SHAPES, OrtCudaEngine
from trtkit.runtime.ort_program import OrtProgram
from trtkit.runtime.slots import Slot, make_slot

from . import host_cuda
from .fused import networks
from .fused.networks import FLOAT, picture, reference, two_levels
from .host_cuda import HostCuda

pytestmark = pytest.mark.skipif(networks.gxx() is None, reason="needs g++ for the kernels")

MODEL = two_levels()
SHAPES = {"image": (2, 24, 20, 3)}


class ReplayedGraph:
    """Stands for StreamGraph: a launch queues the same again. `faults` are taken one a graph: 'refused' (it cannot be
    captured), 'stale' (it is empty) or '' (it is right, as all are that come after them)."""

    alive: list[ReplayedGraph]
    faults: list[str]

    def __init__(self, stream: int, queue: Callable[[], None]) -> None:
        self.queue, self.fault = queue, self.faults.pop(0) if self.faults else ""
        if self.fault == "refused":
            raise RuntimeError("not while\n capturing")
        self.alive.append(self)

    def launch(self) -> None:
        assert self in self.alive
        if self.fault != "stale":
            self.queue()

    def destroy(self) -> None:
        self.alive.remove(self)


class HostSessions:
    """Stands for Sessions: the same calls on the CPU."""

    library = "ONNX Runtime on the CPU"

    def __init__(self, *_: Any) -> None: ...

    def open(self, content: Any, **_: Any) -> Any:
        return networks.open_session(content)

    def run(self, session: Any, binding: Any) -> None:
        session.run_with_iobinding(binding)


class OnHost(OrtProgram):
    """Its addresses are the host's."""

    def bind(self, addresses: Any, shapes: Any) -> list[Callable[[], None]]:
        def run() -> None:
            given = {name: _array(addresses[name], *self._of(name, shapes)) for name in self._inputs}
            outputs = [node.name for node in self._session.get_outputs()]
            for name, found in zip(outputs, self._session.run(outputs, given), strict=True):
                _array(addresses[name], *self._of(name, shapes))[...] = found

        return [run]

    def _of(self, name: str, shapes: Any) -> tuple[np.dtype, tuple[int, ...]]:
        return self._tensors[name][0], shapes[name]


def _array(address: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    import ctypes

    size = int(np.prod(shape)) * dtype.itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), dtype).reshape(shape)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> type[ReplayedGraph]:
    monkeypatch.setattr(ReplayedGraph, "alive", [], raising=False)
    monkeypatch.setattr(ReplayedGraph, "faults", [], raising=False)
    return ReplayedGraph


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch, graphs: type[ReplayedGraph]) -> HostCuda:
    def convolutions(steps: Any, open_session: Any, run: Any, device: str, ordinal: int) -> Convolutions:
        assert (device, ordinal) == ("cuda", 0)
        return Convolutions(steps, open_session, run, "cpu", 0)

    def compiled(source: str, capability: str) -> bytes:
        assert capability == "9.9"
        return host_cuda.compiled(source)

    for module in (ort_cuda, copy_kernel):
        monkeypatch.setattr(module, "compiled", compiled)
    monkeypatch.setattr(ort_cuda, "StreamGraph", graphs)
    monkeypatch.setattr(ort_cuda, "Sessions", HostSessions)
    monkeypatch.setattr(ort_cuda, "Convolutions", convolutions)
    monkeypatch.setattr(ort_cuda, "OrtProgram", OnHost)
    monkeypatch.setattr(ort_program, "Sessions", HostSessions)
    return HostCuda()


def open_engine(
    cuda: HostCuda, model: Any = MODEL, most: tuple[int, ...] = (2, 32, 32, 3)
) -> tuple[OrtCudaEngine, Slot]:
    """The engine and one slot on it."""
    profiles = [{"image": ShapeRange(min=[1, 2, 2, 3], opt=list(most), max=list(most))}]
    engine = OrtCudaEngine(model.SerializeToString(), Place(cuda, 0, None), profiles)
    largest = {"image": most, **engine.output_shapes({"image": most})}
    slot = make_slot(cuda, 0, {name: int(np.prod(shape)) for name, shape in largest.items()})
    engine.attach(slot)
    return engine, slot


def ran(cuda: HostCuda, engine: OrtCudaEngine, slot: Slot, image: np.ndarray) -> np.ndarray:
    """As the owner thread does it: copied in, run, copied out."""
    slot.view("image", image.dtype, image.shape)[...] = image
    cuda.copy_in(slot.device["image"], slot.host["image"][: image.nbytes], None)
    engine.enqueue(slot, {"image": image.shape})
    return brought_home(cuda, engine, slot, image.shape, True)


def brought_home(cuda: HostCuda, engine: OrtCudaEngine, slot: Slot, shape: tuple, copies: bool) -> np.ndarray:
    (out,) = engine.output_shapes({"image": shape}).values()
    found = slot.view("map", np.dtype(np.uint8), out)
    if copies:
        found[...] = 0x77
        cuda.copy_out(slot.host["map"][: found.nbytes], slot.device["map"], None)
    return found.copy()


def test_a_network_in_half_precision_is_fused_and_one_in_single_is_not(cuda):
    image = picture(*SHAPES["image"])
    for model, program in ((MODEL, FusedProgram), (two_levels(FLOAT), OnHost)):
        engine, slot = open_engine(cuda, model)
        assert isinstance(engine._program, program)
        assert engine.workspace == engine._program.arena
        assert engine.notes == []
        assert np.abs(ran(cuda, engine, slot, image).astype(int) - reference(model, image)).max() <= 1


def test_the_third_run_is_captured_and_a_lone_caller_travels_in_a_graph(cuda, graphs):
    engine, slot = open_engine(cuda)
    image = picture(*SHAPES["image"])
    expected = [ran(cuda, engine, slot, image) for _ in range(2)]
    assert not graphs.alive
    assert not engine.anywhere(slot, SHAPES)
    assert not engine.round_trip(slot, SHAPES)
    expected += [ran(cuda, engine, slot, image) for _ in range(2)]
    assert all(np.array_equal(expected[0], other) for other in expected)
    assert engine.anywhere(slot, SHAPES)
    assert len(graphs.alive) == 2
    other = picture(*SHAPES["image"], seed=1)
    slot.view("image", other.dtype, other.shape)[...] = other
    slot.host["map"][...] = 0x77
    assert engine.round_trip(slot, SHAPES)
    found = brought_home(cuda, engine, slot, other.shape, copies=False)
    assert np.array_equal(found, ran(cuda, engine, slot, other))
    assert engine.notes == []


def test_the_pictures_that_wait_in_the_slot_are_the_same_after_a_capture(cuda):
    engine, slot = open_engine(cuda)
    image = picture(*SHAPES["image"])
    for _ in range(3):
        ran(cuda, engine, slot, image)
    assert np.array_equal(slot.view("image", image.dtype, image.shape), image)


def test_large_requests_are_left_to_the_copy_engines(cuda, graphs, monkeypatch):
    image = picture(*SHAPES["image"])
    monkeypatch.setattr(ort_cuda, "MOST_CARRIED", image.nbytes + image.nbytes * 2 // 3 - 1)
    engine, slot = open_engine(cuda)
    for _ in range(3):
        ran(cuda, engine, slot, image)
    assert len(graphs.alive) == 1
    assert not engine.round_trip(slot, SHAPES)
    assert engine.notes == []


@pytest.mark.parametrize(
    ("faults", "left", "note"),
    [
        (
            ["refused"],
            0,
            "CUDA graphs are off: the one of shapes [(2, 24, 20, 3)] could not be captured: not while captu",
        ),
        (
            ["stale"],
            0,
            "CUDA graphs are off: the one of shapes [(2, 24, 20, 3)] did not repeat the plain run and is not",
        ),
        (["", "refused"], 1, "copies are in no CUDA graph: the one of shapes [(2, 24, 20, 3)] could not be captured"),
        (
            ["", "stale"],
            1,
            "copies are in no CUDA graph: the one of shapes [(2, 24, 20, 3)] did not repeat the plain ru",
        ),
    ],
)
def test_a_graph_that_fails_is_said_once_and_runs_go_on_without(cuda, graphs, faults, left, note):
    graphs.faults += faults
    engine, slot = open_engine(cuda)
    image = picture(*SHAPES["image"])
    found = [ran(cuda, engine, slot, image) for _ in range(4)]
    found.append(ran(cuda, engine, slot, image[:1]))
    assert all(np.array_equal(found[0], other) for other in found[1:4])
    assert len(graphs.alive) == left
    for _ in range(3):
        ran(cuda, engine, slot, image[:1])
    assert len(graphs.alive) == left * 2
    assert not engine.round_trip(slot, SHAPES)
    (said,) = engine.notes
    assert said.startswith(note)


def test_a_round_trip_that_does_not_launch_leaves_the_run_its_picture(cuda, graphs, monkeypatch):
    engine, slot = open_engine(cuda)
    image = picture(*SHAPES["image"])
    expected = [ran(cuda, engine, slot, image) for _ in range(2)]
    launch = graphs.launch

    def refusing(graph: ReplayedGraph) -> None:
        if graph is not graphs.alive[0]:
            raise RuntimeError("cuGraphLaunch gave CUDA_ERROR_OUT_OF_MEMORY")
        launch(graph)

    monkeypatch.setattr(graphs, "launch", refusing)
    assert np.array_equal(ran(cuda, engine, slot, image), expected[0])
    assert len(graphs.alive) == 1
    assert engine.notes[0].endswith("could not be captured: cuGraphLaunch gave CUDA_ERROR_OUT_OF_MEMORY")


def test_a_capture_on_what_the_device_holds_does_not_take_the_host_for_it(cuda):
    """time_alone runs what lies on the device; the slot's host memory may hold another picture."""
    engine, slot = open_engine(cuda)
    image = picture(*SHAPES["image"])
    cuda.copy_in(slot.device["image"], image.reshape(-1), None)
    for _ in range(3):
        engine.enqueue(slot, SHAPES)
    assert engine.notes == []
    assert engine.round_trip(slot, SHAPES)


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"picture": [1, 2, 2, 3]}, "profiles.0 has no key 'image', an input of the ONNX model with dynamic axes"),
        (
            {"image": [1, 16, 16]},
            "profiles.0.image: shapes [1, 16, 16] to [1, 16, 16] do not fit the input of",
        ),
        ({}, "profiles.0 has no key 'image'"),
    ],
)
def test_a_profile_of_another_network_is_refused_by_its_key(cuda, profile, words):
    ranges = {name: ShapeRange(min=sizes, opt=sizes, max=sizes) for name, sizes in profile.items()}
    with pytest.raises(Mistake) as raised:
        OrtCudaEngine(MODEL.SerializeToString(), Place(cuda, 0, None), [ranges])
    assert words in str(raised.value)


def test_the_least_recently_used_shapes_go_first_and_a_round_trip_is_a_use(cuda, graphs):
    engine, slot = open_engine(cuda)
    shapes = [(1, 8, width, 3) for width in range(8, 8 + MOST_SHAPES)]
    for shape in shapes[:2]:
        for _ in range(3):
            ran(cuda, engine, slot, picture(*shape))
    for shape in shapes[2:]:
        ran(cuda, engine, slot, picture(*shape))
    assert engine.round_trip(slot, {"image": shapes[0]})
    ran(cuda, engine, slot, picture(1, 9, 9, 3))
    assert engine.anywhere(slot, {"image": shapes[0]})
    assert not engine.anywhere(slot, {"image": shapes[1]})
    assert len(graphs.alive) == 2, "the other's graphs went with it"


def test_everything_goes_when_it_is_closed(cuda, graphs):
    engine, slot = open_engine(cuda)
    for _ in range(3):
        ran(cuda, engine, slot, picture(*SHAPES["image"]))
    assert cuda.modules == 2
    engine.detach(slot)
    assert not graphs.alive
    engine.close()
    assert cuda.modules == 0
    assert cuda.blocks.keys() == set(slot.device.values())


@pytest.mark.parametrize("error", [MissingComponent("NVRTC is not here"), CheckFailed("the driver does not load them")])
def test_without_compiled_kernels_it_runs_unfused_and_says_so(cuda, monkeypatch, error):
    def refused(*_: Any) -> bytes:
        raise error

    for module in (ort_cuda, copy_kernel):
        monkeypatch.setattr(module, "compiled", refused)
    engine, slot = open_engine(cuda)
    assert isinstance(engine._program, OnHost)
    assert engine.notes == [f"it runs in ONNX Runtime's own operators, which is slower: {error}"]
    image = picture(*SHAPES["image"])
    for _ in range(4):
        found = ran(cuda, engine, slot, image)
    assert np.abs(found.astype(int) - reference(MODEL, image)).max() <= 1
    assert not engine.round_trip(slot, SHAPES)


def test_a_session_that_does_not_open_leaves_nothing(cuda, monkeypatch):
    def refused(*_: Any, **__: Any) -> Any:
        raise CheckFailed("no session")

    monkeypatch.setattr(HostSessions, "open", refused)
    with pytest.raises(CheckFailed, match="no session"):
        open_engine(cuda)
    assert (cuda.blocks, cuda.modules) == ({}, 0)
