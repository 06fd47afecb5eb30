"""ONNX Runtime's CUDA provider on the shared layer, its work on the device's own stream.

A network in half precision is fused (fused/) where it can be, else it is one session (ort_program.py). ONNX Runtime
takes a user's stream per session, not per run, so slots do not get sessions of their own (several copies of the
weights) but a CUDA graph each, one for every shape they meet three times. The graphs are captures of the stream: ONNX
Runtime's belong to the thread that made them and are never let go of, and it refuses networks whose sizes it works out
on the host, which a capture for given sizes does not mind. Inputs and outputs are bound to the slots' device buffers;
nothing is copied or waited for inside a run.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from trtkit.config import Profile
from trtkit.errors import CheckFailed, MissingComponent, TrtkitError
from trtkit.runtime.backend import IOTensors
from trtkit.runtime.copy_kernel import CopyKernel
from trtkit.runtime.cuda_api import OutOfMemory
from trtkit.runtime.first_replay import same_as_eager
from trtkit.runtime.fused.convolutions import Convolutions
from trtkit.runtime.fused.network import Unfused
from trtkit.runtime.fused.program import FusedProgram
from trtkit.runtime.gpu import Place
from trtkit.runtime.nvrtc import compiled
from trtkit.runtime.onnx_types import symbolic_shapes
from trtkit.runtime.ort_program import OrtProgram
from trtkit.runtime.ort_session import Sessions
from trtkit.runtime.process import immortalise
from trtkit.runtime.shapes import Shapes, SymbolicShapes, byte_size, input_profiles, resolve
from trtkit.runtime.slots import Slot
from trtkit.runtime.stream_graph import StreamGraph

if TYPE_CHECKING:
    from onnx import ModelProto

MOST_SHAPES = 16
"""Of one slot; the least recently used goes first, with its graph."""
MOST_CARRIED = 4 << 20
"""Bytes of inputs and outputs that a round trip's kernels carry; more are left to the copy engines, whose pace is
steadier: (p99 - p50) / p50 of eight pictures of 720x720 is 0.5 % with them and 4.5 % without (H200)."""


class Program(Protocol):
    """A network on the device."""

    arena: int
    """Bytes of device memory that `reserve` takes for activations, shared by all that is bound."""

    def reserve(self) -> None:
        """Called once, before anything is bound. Raises OutOfMemory."""
        ...

    def bind(self, addresses: Mapping[str, int], shapes: Shapes) -> Sequence[Callable[[], None]]:
        """What queues a run, piece by piece, on the inputs and outputs at `addresses`."""
        ...

    def free(self) -> None: ...


@dataclass
class _Bound:
    """One slot with one set of shapes: what queues a run, and its graphs, if it has them: of the run alone, and of a
    round trip with the copies in it."""

    pieces: Sequence[Callable[[], None]]
    runs: int = 0
    graph: StreamGraph | None = None
    round_trip: StreamGraph | None = None

    def queue(self) -> None:
        for piece in self.pieces:
            piece()


class OrtCudaEngine:
    """See Engine. `file` is a path or the serialized model; `provider_options` go to the CUDA provider as they are.

    `quick`: networks in half precision are fused, or run in another form of their graph, where that is quicker.
    Opened in the owner thread. Raises CheckFailed if ONNX Runtime refuses the model, MissingComponent if its CUDA
    provider does not start, Mistake if dynamic inputs come without profiles, OutOfMemory.
    """

    def __init__(
        self,
        file: Path | bytes,
        place: Place,
        profiles: Sequence[Profile] = (),
        *,
        graphs: bool = True,
        nhwc: bool = True,
        quick: bool = True,
        provider_options: Mapping[str, str] | None = None,
    ) -> None:
        self.what = str(file) if isinstance(file, Path) else "the ONNX model"
        self.notes: list[str] = []
        self._place, self._graphs = place, graphs
        self._carries = True
        model = _read(file, self.what)
        sessions = Sessions(place, self.what, provider_options)
        self.library = sessions.library
        self._symbols, self._output_symbols = symbolic_shapes(model)
        self.inputs, self.outputs = _tensors(model, self._symbols), _tensors(model, self._output_symbols)
        self.profiles: Sequence[Profile] = input_profiles(self.inputs, profiles, self.what)
        self._copies = self._copy_kernel() if graphs else None
        try:
            self._program = (self._fused(model, sessions) if quick else None) or OrtProgram(
                file, model, {**self.inputs, **self.outputs}, place, sessions, channels_last=nhwc, quick=quick
            )
        except BaseException:
            if self._copies is not None:
                self._copies.free()
            raise
        self.workspace = self._program.arena
        self._bound: dict[int, OrderedDict[tuple, _Bound]] = {}

    def output_shapes(self, shapes: Shapes) -> Shapes:
        return resolve(self._symbols, self._output_symbols, shapes, self.what)

    def attach(self, slot: Slot) -> None:
        if not self._bound:
            self._program.reserve()
        self._bound[slot.number] = OrderedDict()

    def anywhere(self, slot: Slot, shapes: Shapes) -> bool:
        """A graph may be launched in any thread; ONNX Runtime itself makes handles and workspaces for each."""
        bound = self._bound[slot.number].get(tuple(shapes.values()))
        return bound is not None and bound.graph is not None

    def enqueue(self, slot: Slot, shapes: Shapes) -> None:
        bound = self._bound_for(slot, shapes)
        bound.runs += 1
        if self._graphs and bound.runs == 3:  # not the first time: many shapes are met once, and plans are made in it
            self._capture(bound, slot, shapes)
        if bound.graph is not None:
            bound.graph.launch()
        else:
            bound.queue()

    def round_trip(self, slot: Slot, shapes: Shapes) -> bool:
        kept, key = self._bound[slot.number], tuple(shapes.values())
        if key not in kept or (trip := kept[key].round_trip) is None:
            return False
        kept.move_to_end(key)
        trip.launch()
        return True

    def detach(self, slot: Slot) -> None:
        for bound in self._bound.pop(slot.number, OrderedDict()).values():
            _drop(bound)

    def close(self) -> None:
        self._bound.clear()
        self._program.free()
        if self._copies is not None:
            self._copies.free()

    def abandon(self) -> None:
        immortalise(self._program)
        immortalise(self._copies)
        immortalise(self._bound)

    def _fused(self, model: ModelProto, sessions: Sessions) -> Program | None:
        """The network fused; None where it cannot be."""
        cuda, ordinal = self._place.cuda, self._place.ordinal
        try:
            return FusedProgram(
                model,
                self.profiles,
                cuda,
                self._place.stream,
                lambda source: compiled(source, cuda.capability),
                lambda steps: Convolutions(steps, sessions.open, sessions.run, "cuda", ordinal),
            )
        except Unfused:
            return None
        except (MissingComponent, CheckFailed) as error:
            self.notes.append(f"it runs in ONNX Runtime's own operators, which is slower: {error}")
            return None

    def _bound_for(self, slot: Slot, shapes: Shapes) -> _Bound:
        kept, key = self._bound[slot.number], tuple(shapes.values())
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
        while len(kept) >= MOST_SHAPES:
            # This slot is idle until the run that is being queued, so none of its graphs is in use.
            _drop(kept.popitem(last=False)[1])
        kept[key] = _Bound(self._program.bind(slot.device, shapes | self.output_shapes(shapes)))
        return kept[key]

    def _copy_kernel(self) -> CopyKernel | None:
        try:
            return CopyKernel(self._place.cuda, self._place.stream)
        except (MissingComponent, CheckFailed):
            return None  # requests are copied by the copy engines then

    def _capture(self, bound: _Bound, slot: Slot, shapes: Shapes) -> None:
        """Capture the third run of these shapes; keep the graphs if their replays give what the plain run gives."""
        outputs = self._bytes(self.outputs, self.output_shapes(shapes))
        bound.queue()  # cuDNN's plans are those of the last shapes, and making them cannot be captured
        found = self._graph(bound, slot, outputs, bound.queue)
        if isinstance(found, str):
            self._graphs = False
            self.notes.append(f"CUDA graphs are off: the one of shapes {list(shapes.values())} {found}")
            return
        bound.graph = found
        inputs = self._bytes(self.inputs, shapes)
        if self._copies is None or not self._carries or sum(inputs.values()) + sum(outputs.values()) > MOST_CARRIED:
            return
        trip = self._travelling(bound, slot, inputs, outputs, self._copies)
        found = self._graph(bound, slot, outputs, trip, inputs)
        if isinstance(found, str):
            self._carries = False
            self.notes.append(f"copies are in no CUDA graph: the one of shapes {list(shapes.values())} {found}")
            return
        bound.round_trip = found

    def _graph(
        self,
        bound: _Bound,
        slot: Slot,
        outputs: dict[str, int],
        queue: Callable[[], None],
        inputs: dict[str, int] | None = None,
    ) -> StreamGraph | str:
        """Of what `queue` queues; or why there is none. `outputs`, and `inputs` if it copies them: bytes of each."""
        cuda, stream = self._place.cuda, self._place.stream
        graph: StreamGraph | None = None
        try:
            graph = StreamGraph(cuda.handle(stream), queue)
            if same_as_eager(cuda, stream, slot, outputs, bound.queue, graph.launch, inputs):
                return graph
            reason = "did not repeat the plain run and is not used"
        except (OutOfMemory, TrtkitError):
            if graph is not None:
                graph.destroy()
            raise
        except Exception as error:  # ONNX Runtime's exception types are private to its extension module
            reason = f"could not be captured: {' '.join(str(error).split())[:300]}"
            with contextlib.suppress(Exception):
                bound.queue()  # the failed capture's error is reported by the next call
        if graph is not None:
            graph.destroy()
        return reason

    def _travelling(
        self, bound: _Bound, slot: Slot, inputs: dict[str, int], outputs: dict[str, int], copies: CopyKernel
    ) -> Callable[[], None]:
        """What queues a run from the slot's host memory to its host memory."""
        home = {name: array.ctypes.data for name, array in slot.host.items()}

        def queue() -> None:
            for name, size in inputs.items():
                copies.queue(home[name], slot.device[name], size)
            bound.queue()
            for name, size in outputs.items():
                copies.queue(slot.device[name], home[name], size)

        return queue

    def _bytes(self, tensors: IOTensors, shapes: Shapes) -> dict[str, int]:
        return {name: byte_size(tensors[name][0], shape) for name, shape in shapes.items()}


def _drop(bound: _Bound) -> None:
    for graph in (bound.graph, bound.round_trip):
        if graph is not None:
            graph.destroy()


def _read(file: Path | bytes, what: str) -> ModelProto:
    """Raises CheckFailed for no ONNX."""
    import onnx

    try:
        return onnx.load_from_string(file) if isinstance(file, bytes) else onnx.load(file)
    except Exception as error:  # protobuf's own types
        raise CheckFailed(f"{what} is not an ONNX file: {' '.join(str(error).split())[:300]}") from error


def _tensors(model: ModelProto, symbols: SymbolicShapes) -> IOTensors:
    from onnx import helper

    kinds = {one.name: one.type.tensor_type.elem_type for one in (*model.graph.input, *model.graph.output)}
    return {
        name: (
            helper.tensor_dtype_to_np_dtype(kinds[name]),
            tuple(axis if isinstance(axis, int) else None for axis in axes),
        )
        for name, axes in symbols.items()
    }
