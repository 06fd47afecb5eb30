"""A TensorRT engine on the shared layer: TensorRT 10.x, 11.x and TensorRT-RTX, `trt` being whichever is present.

Every set of shapes that a slot meets has its own execution context, because a captured graph is only good for the
context and the shapes it was captured with (NVIDIA/TensorRT#3798). All contexts share one piece of activation memory:
they run on one stream, so no two of them overlap.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trtkit.build_engines.log_lines import collecting, logger
from trtkit.config import Profile, ShapeRange
from trtkit.errors import CheckFailed
from trtkit.models.spec import NetworkSpec
from trtkit.runtime.backend import IOTensors
from trtkit.runtime.first_replay import same_as_eager
from trtkit.runtime.gpu import Place
from trtkit.runtime.process import immortalise
from trtkit.runtime.shapes import Shapes, SymbolicShapes, profile_of, resolve, text
from trtkit.runtime.slots import Slot
from trtkit.runtime.stream_graph import StreamGraph

MOST_CONTEXTS = 8
"""Of one slot; the least recently used goes first."""

_DTYPES = {
    "UINT8": np.uint8,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "HALF": np.float16,
    "FLOAT": np.float32,
}

ContextMaker = Callable[[Any, bool], Any]
"""(engine, with the library's own CUDA graphs) → an execution context with user-managed activation memory."""


@dataclass
class _Ready:
    """One slot with one set of shapes."""

    context: Any
    runs: int = 0
    graph: StreamGraph | None = None


@dataclass(frozen=True)
class Plan:
    """A serialized engine. `what` is its path; `spec` names the dynamic axes that its own tensors have no names for.

    `host_code`: it carries a lean runtime of the version that built it, which is executed with it; its manifest has
    vouched for its bytes by then.
    """

    content: bytes
    what: str
    spec: NetworkSpec
    host_code: bool = False


class TrtEngine:
    """See Engine. `own_graphs`: the library captures graphs itself (TensorRT-RTX), else a stream capture does.

    Opened in the owner thread, so that the right device is current (ultralytics/ultralytics#26223). Raises CheckFailed
    if the engine does not load, OutOfMemory.
    """

    def __init__(
        self, trt: Any, plan: Plan, library: str, place: Place, make_context: ContextMaker, own_graphs: bool
    ) -> None:
        self.what, self.library = plan.what, library
        self.notes: list[str] = []
        self._place, self._make_context, self._own_graphs = place, make_context, own_graphs
        self._runtime, self._engine = load_engine(trt, plan)
        self._symbols: SymbolicShapes = {one.name: one.shape for one in plan.spec.inputs}
        self._output_symbols: SymbolicShapes = {one.name: one.shape for one in plan.spec.outputs}
        self.inputs = tensors_of(trt, self._engine, trt.TensorIOMode.INPUT)
        self.outputs = tensors_of(trt, self._engine, trt.TensorIOMode.OUTPUT)
        self._check_spec()
        self.profiles: Sequence[Profile] = profiles_of(self._engine, list(self.inputs))
        self.workspace = workspace_of(self._engine)
        self._scratch: int | None = None
        self._graphs = True
        self._ready: dict[int, OrderedDict[tuple, _Ready]] = {}

    def output_shapes(self, shapes: Shapes) -> Shapes:
        return resolve(self._symbols, self._output_symbols, shapes, self.what)

    def attach(self, slot: Slot) -> None:
        """Make the context of the first profile's best shapes, so that the first request does not pay for it."""
        if self._scratch is None:
            self._scratch = self._place.cuda.alloc(self.workspace)
        self._ready[slot.number] = OrderedDict()
        self._context_for(slot, {name: tuple(each.opt) for name, each in self.profiles[0].items()})

    def anywhere(self, slot: Slot, shapes: Shapes) -> bool:
        ready = self._ready[slot.number].get(tuple(shapes.values()))
        return ready is not None and ready.runs > 1

    def enqueue(self, slot: Slot, shapes: Shapes) -> None:
        ready = self._context_for(slot, shapes)
        ready.runs += 1
        # Not the first time: many shapes are met once, and TensorRT wants a run before a capture.
        if self._graphs and ready.runs == 2:
            self._accelerate(ready, slot, shapes)
        if ready.graph is not None:
            ready.graph.launch()
        else:
            self._execute(ready.context)

    def round_trip(self, slot: Slot, shapes: Shapes) -> bool:
        return False

    def detach(self, slot: Slot) -> None:
        for ready in self._ready.pop(slot.number, OrderedDict()).values():
            _drop(ready)

    def close(self) -> None:
        """Contexts first, then the engine, then its runtime: the other way round crashes."""
        self._ready.clear()
        self._engine = None
        self._runtime = None
        if self._scratch is not None:
            self._place.cuda.free(self._scratch)

    def abandon(self) -> None:
        for kept in (self._ready, self._engine, self._runtime, self._make_context):
            immortalise(kept)

    def _context_for(self, slot: Slot, shapes: Shapes) -> _Ready:
        contexts = self._ready[slot.number]
        key = tuple(shapes.values())
        if key in contexts:
            contexts.move_to_end(key)
            return contexts[key]
        while len(contexts) >= MOST_CONTEXTS:
            # This slot is idle until the run that is being queued, so none of its contexts is in use.
            _drop(contexts.popitem(last=False)[1])
        contexts[key] = _Ready(self._new_context(slot, shapes, own_graphs=False))
        return contexts[key]

    def _new_context(self, slot: Slot, shapes: Shapes, own_graphs: bool) -> Any:
        """A context with profile, shapes, addresses and activation memory set, once and for all."""
        context = self._make_context(self._engine, own_graphs)
        if context is None:
            raise CheckFailed(f"{self.what} gives no execution context; build it again with --force")
        self._accepted(
            context.set_optimization_profile_async(
                profile_of(self.profiles, shapes), self._place.cuda.handle(self._place.stream)
            ),
            "its profile",
        )
        for name, shape in shapes.items():
            self._accepted(context.set_input_shape(name, shape), f"input '{name}' of shape {text(shape)}")
        missing = context.infer_shapes()
        if missing:
            raise CheckFailed(f"{self.what}: TensorRT still lacks the shape of {', '.join(missing)}")
        for name, shape in self.output_shapes(shapes).items():
            found = tuple(context.get_tensor_shape(name))
            if found != shape:
                raise CheckFailed(
                    f"{self.what}: output '{name}' is {text(found)} where {text(shape)} follows from the inputs; "
                    "build it again with --force"
                )
        for name, address in slot.device.items():
            self._accepted(context.set_tensor_address(name, address), f"the address of '{name}'")
        context.set_device_memory(self._scratch, self.workspace)
        return context

    def _accelerate(self, ready: _Ready, slot: Slot, shapes: Shapes) -> None:
        """Capture what the second run of these shapes does; keep it if its replay gives what the plain run gives."""
        cuda, stream = self._place.cuda, self._place.stream
        sizes = {
            name: math.prod(shape) * self.outputs[name][0].itemsize
            for name, shape in self.output_shapes(shapes).items()
        }
        try:
            if self._own_graphs:
                context = self._new_context(slot, shapes, own_graphs=True)
                self._execute(context)  # captures
                same = same_as_eager(
                    cuda,
                    stream,
                    slot,
                    sizes,
                    lambda: self._execute(ready.context),
                    lambda: self._execute(context),
                )
                if same:
                    ready.context = context
            else:
                self._execute(ready.context)  # TensorRT defers work to the first run after a change of shapes
                graph = StreamGraph(cuda.handle(stream), lambda: self._execute(ready.context))
                try:
                    same = same_as_eager(cuda, stream, slot, sizes, lambda: self._execute(ready.context), graph.launch)
                    if same:
                        ready.graph = graph
                finally:
                    if ready.graph is None:
                        graph.destroy()
        except (RuntimeError, CheckFailed) as error:
            self._graphs = False  # said once: each set of shapes that comes back would fail again
            self.notes.append(f"CUDA graphs are off: the one of shapes {_texts(shapes)} gave an error: {error}")
            return
        if not same:
            self._graphs = False
            self.notes.append(
                f"CUDA graphs are off: the one of shapes {_texts(shapes)} did not repeat the plain run and is not used"
            )

    def _execute(self, context: Any) -> None:
        # False, and zeros in the output, was all that told of a failed run (pytorch/TensorRT#4481).
        if not context.execute_async_v3(self._place.cuda.handle(self._place.stream)):
            raise RuntimeError("TensorRT refused to run (execute_async_v3 gave false)")

    def _accepted(self, answer: bool, what: str) -> None:
        if not answer:
            raise CheckFailed(f"{self.what}: TensorRT refused {what}; build it again with --force")

    def _check_spec(self) -> None:
        for found, stated in ((self.inputs, self._symbols), (self.outputs, self._output_symbols)):
            if found.keys() != stated.keys():
                raise CheckFailed(
                    f"{self.what} has the tensors {', '.join(found)} where the network has {', '.join(stated)}; "
                    "build it again with --force"
                )


def load_engine(trt: Any, plan: Plan) -> tuple[Any, Any]:
    """The runtime and the deserialized engine. Raises CheckFailed with TensorRT's own reason: never a None."""
    with collecting() as lines:
        runtime = trt.Runtime(logger(trt))
        if plan.host_code:
            runtime.engine_host_code_allowed = True
        engine = runtime.deserialize_cuda_engine(plan.content)
        if engine is None:
            raise CheckFailed(f"{plan.what} does not load on this GPU: {lines.reason()}")
    return runtime, engine


def tensors_of(trt: Any, engine: Any, mode: Any) -> IOTensors:
    """The engine's inputs or outputs. Raises CheckFailed naming a tensor that does not lie on the device."""
    found: IOTensors = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        if engine.get_tensor_mode(name) != mode:
            continue
        if engine.get_tensor_location(name) != trt.TensorLocation.DEVICE:
            raise CheckFailed(f"tensor '{name}' lies on the host; trtkit's networks have no shape tensors")
        dtype = np.dtype(_DTYPES[engine.get_tensor_dtype(name).name])
        found[name] = (dtype, tuple(None if size < 0 else size for size in engine.get_tensor_shape(name)))
    return found


def profiles_of(engine: Any, inputs: list[str]) -> list[Profile]:
    """The ranges the engine was built for."""
    found: list[Profile] = []
    for number in range(engine.num_optimization_profiles):
        ranges: Profile = {}
        for name in inputs:
            least, best, most = (list(shape) for shape in engine.get_tensor_profile_shape(name, number))
            ranges[name] = ShapeRange(min=least, opt=best, max=most)
        found.append(ranges)
    return found


def workspace_of(engine: Any) -> int:
    """Activation bytes of the profile that needs most; never 0, which cannot be allocated."""
    sizes = [engine.get_device_memory_size_for_profile_v2(n) for n in range(engine.num_optimization_profiles)]
    return int(max(256, *sizes))


def _drop(ready: _Ready) -> None:
    if ready.graph is not None:
        ready.graph.destroy()
    ready.context = None


def _texts(shapes: Shapes) -> str:
    return ", ".join(text(shape) for shape in shapes.values())
