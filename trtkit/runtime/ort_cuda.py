"""ONNX Runtime's CUDA provider on the shared layer: one session, its work on the device's own stream.

ONNX Runtime takes a user's stream per session, not per run, so slots do not get a session each (several copies of the
weights) but a CUDA graph each, one for every shape they meet three times. The graphs are captures of the stream:
ONNX Runtime's belong to the thread that made them and are never let go of, and it refuses networks whose sizes it
works out on the host, which a capture for given sizes does not mind. Inputs and outputs are bound to the slots'
device buffers; nothing is copied or waited for inside `run`.
"""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trtkit.config import Profile
from trtkit.errors import CheckFailed, MissingComponent, TrtkitError
from trtkit.optional import need
from trtkit.runtime.backend import IOTensors
from trtkit.runtime.cuda_api import OutOfMemory
from trtkit.runtime.first_replay import same_as_eager
from trtkit.runtime.gpu import Place
from trtkit.runtime.onnx_types import dynamic_as_none, numpy_dtype
from trtkit.runtime.ort_form import UNDONE_BY, Form, form_for
from trtkit.runtime.process import immortalise
from trtkit.runtime.shapes import Shapes, SymbolicShapes, input_profiles, resolve
from trtkit.runtime.slots import Slot
from trtkit.runtime.stream_graph import StreamGraph

if TYPE_CHECKING:
    from onnx import ModelProto

PROVIDER = "CUDAExecutionProvider"
MOST_SHAPES = 16
"""Of one slot; the least recently used goes first, with its graph."""
_ERRORS = 3
"""ONNX Runtime's log severity."""
_OUT_OF_MEMORY = ("Failed to allocate memory", "out of memory", "ALLOC_FAILED", "smaller than requested bytes")


@dataclass
class _Bound:
    """One slot with one set of shapes: its binding, the form's matrices on the device, and its graph, if it has one."""

    binding: Any
    matrices: list[int] = field(default_factory=list)
    runs: int = 0
    graph: StreamGraph | None = None


class OrtCudaEngine:
    """See Engine. `file` is a path or the serialized model; `provider_options` go to the CUDA provider as they are.

    `quick`: FP16 runs in the form of ort_form.py, for inputs whose H and W are multiples of `multiple_of`.
    Opened in the owner thread. Raises CheckFailed if ONNX Runtime refuses the model, MissingComponent if its CUDA
    provider does not start, OutOfMemory.
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
        multiple_of: int = 1,
        provider_options: Mapping[str, str] | None = None,
    ) -> None:
        ort = need("onnxruntime", "running a network on the GPU through ONNX Runtime")
        self.what = str(file) if isinstance(file, Path) else "the ONNX model"
        self.library = f"ONNX Runtime {ort.__version__}"
        self.workspace = 0
        self.notes: list[str] = []
        self._ort, self._place = ort, place
        self._graphs = graphs
        model = _read(file, self.what)
        options = {
            "device_id": str(place.ordinal),
            "user_compute_stream": str(place.cuda.handle(place.stream)),
            # Grow by what is asked for: the default doubles, and the card is shared.
            "arena_extend_strategy": "kSameAsRequested",
            "prefer_nhwc": "1" if nhwc and _fixed_kernels(model) else "0",
            # cuDNN's own first choice is 3 to 5 % quicker on an H200 than the default's, which measures nothing either.
            # fuse_conv_bias must stay off: what it compiles for one shape it unloads at the next one, and a graph that
            # was captured with it then runs freed code (docs/benchmarks.md).
            "cudnn_conv_algo_search": "HEURISTIC",
            **(provider_options or {}),
        }
        self._form = _form(model, multiple_of) if quick else None
        self._session = self._open(self._form.content if self._form else file, options)
        ours = (
            {name for stretch in self._form.stretches for name in (stretch.rows, stretch.columns)} if self._form else ()
        )
        inputs = [node for node in self._session.get_inputs() if node.name not in ours]
        outputs = self._session.get_outputs()
        self._symbols: SymbolicShapes = {node.name: tuple(node.shape) for node in inputs}
        self._output_symbols: SymbolicShapes = {node.name: tuple(node.shape) for node in outputs}
        self.inputs: IOTensors = {n.name: (numpy_dtype(n.type), dynamic_as_none(n.shape)) for n in inputs}
        self.outputs: IOTensors = {n.name: (numpy_dtype(n.type), dynamic_as_none(n.shape)) for n in outputs}
        self.profiles: Sequence[Profile] = input_profiles(self.inputs, profiles, self.what)
        self._bound: dict[int, OrderedDict[tuple, _Bound]] = {}
        self._options = ort.RunOptions()
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def output_shapes(self, shapes: Shapes) -> Shapes:
        return resolve(self._symbols, self._output_symbols, shapes, self.what)

    def attach(self, slot: Slot) -> None:
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
            self._run(bound.binding)

    def detach(self, slot: Slot) -> None:
        for bound in self._bound.pop(slot.number, OrderedDict()).values():
            self._drop(bound)

    def close(self) -> None:
        self._bound.clear()
        self._session = None

    def abandon(self) -> None:
        immortalise(self._session)
        immortalise(self._bound)

    def _open(self, content: Path | bytes, options: dict[str, str]) -> Any:
        ort = self._ort
        ort.set_default_logger_severity(_ERRORS)  # or it warns about plugins at every session
        settings = ort.SessionOptions()
        settings.log_severity_level = _ERRORS  # warnings speak of nodes the user did not write
        # The CPU has a few sizes to work out, no more; a pool's threads would spin, and outlive a fork badly.
        settings.intra_op_num_threads = 1
        # A pattern is planned in the first run and allocated in the second, beside what the first left.
        settings.enable_mem_pattern = False
        try:
            session = ort.InferenceSession(
                str(content) if isinstance(content, Path) else content,
                settings,
                providers=[(PROVIDER, options), "CPUExecutionProvider"],
                disabled_optimizers=UNDONE_BY if self._form else (),
            )
        except Exception as error:
            if _is_out_of_memory(error):
                raise OutOfMemory(str(error)) from error
            raise CheckFailed(
                f"{self.what} does not load in ONNX Runtime's CUDA provider: {' '.join(str(error).split())}"
            ) from error
        if PROVIDER not in session.get_providers():
            # ONNX Runtime falls back to the CPU in silence (rembg#600, #632, #661).
            raise MissingComponent(
                "ONNX Runtime's CUDA provider does not start here, mostly because cuDNN or a CUDA library of its "
                "version is missing; install them with: pip install 'onnxruntime-gpu[cuda,cudnn]'"
            )
        return session

    def _bound_for(self, slot: Slot, shapes: Shapes) -> _Bound:
        kept, key = self._bound[slot.number], tuple(shapes.values())
        if key in kept:
            kept.move_to_end(key)
            return kept[key]
        while len(kept) >= MOST_SHAPES:
            # This slot is idle until the run that is being queued, so none of its graphs is in use.
            self._drop(kept.popitem(last=False)[1])
        kept[key] = self._bind(slot, shapes)
        return kept[key]

    def _bind(self, slot: Slot, shapes: Shapes) -> _Bound:
        bound = _Bound(self._session.io_binding())
        try:
            for name, matrix in (self._form.matrices(shapes) if self._form else {}).items():
                bound.matrices.append(self._uploaded(matrix))
                self._bind_input(bound, name, matrix.dtype, matrix.shape, bound.matrices[-1])
        except BaseException:
            self._drop(bound)
            raise
        for name, shape in shapes.items():
            self._bind_input(bound, name, self.inputs[name][0], shape, slot.device[name])
        for name, shape in self.output_shapes(shapes).items():
            kind = self.outputs[name][0].type
            bound.binding.bind_output(name, "cuda", self._place.ordinal, kind, list(shape), slot.device[name])
        return bound

    def _bind_input(self, bound: _Bound, name: str, dtype: np.dtype, shape: tuple[int, ...], address: int) -> None:
        bound.binding.bind_input(name, "cuda", self._place.ordinal, dtype.type, list(shape), address)

    def _uploaded(self, matrix: np.ndarray) -> int:
        """`matrix` in device memory of its own."""
        cuda, stream = self._place.cuda, self._place.stream
        address = cuda.alloc(matrix.nbytes)
        host = cuda.pinned(matrix.nbytes)
        done = cuda.event()
        try:
            host[:] = matrix.reshape(-1).view(np.uint8)
            cuda.copy_in(address, host, stream)
            cuda.record(done, stream)
            cuda.synchronize(done)
        finally:
            cuda.drop(done)
            cuda.free_pinned(host)
        return address

    def _drop(self, bound: _Bound) -> None:
        if bound.graph is not None:
            bound.graph.destroy()
        for address in bound.matrices:
            self._place.cuda.free(address)

    def _capture(self, bound: _Bound, slot: Slot, shapes: Shapes) -> None:
        """Capture the third run of these shapes; keep the graph if its replay gives what the plain run gives."""
        cuda, stream = self._place.cuda, self._place.stream
        sizes = {
            name: math.prod(shape) * self.outputs[name][0].itemsize
            for name, shape in self.output_shapes(shapes).items()
        }

        def plain() -> None:
            self._run(bound.binding)

        try:
            plain()  # cuDNN's plans are those of the last shapes, and making them cannot be captured
            graph = StreamGraph(cuda.handle(stream), plain)
            if same_as_eager(cuda, stream, slot, sizes, plain, graph.launch):
                bound.graph = graph
                return
            graph.destroy()
            reason = "did not repeat the plain run and is not used"
        except (OutOfMemory, TrtkitError):
            raise
        except Exception as error:  # ONNX Runtime's exception types are private to its extension module
            reason = f"could not be captured: {' '.join(str(error).split())[:300]}"
            with contextlib.suppress(Exception):
                plain()  # the failed capture's error is reported by the next call
        self._graphs = False
        self.notes.append(f"CUDA graphs are off: the one of shapes {list(shapes.values())} {reason}")

    def _run(self, binding: Any) -> None:
        try:
            self._session.run_with_iobinding(binding, self._options)
        except Exception as error:
            # ONNX Runtime's exception types are private to its extension module.
            if _is_out_of_memory(error):
                raise OutOfMemory(str(error)) from error
            raise


def _read(file: Path | bytes, what: str) -> ModelProto:
    """Raises CheckFailed for no ONNX."""
    import onnx

    try:
        return onnx.load_from_string(file) if isinstance(file, bytes) else onnx.load(file)
    except Exception as error:  # protobuf's own types
        raise CheckFailed(f"{what} is not an ONNX file: {' '.join(str(error).split())[:300]}") from error


def _form(model: ModelProto, multiple_of: int) -> Form | None:
    """The form that is quick on the CUDA provider; None where it would be the same."""
    form = form_for(model, multiple_of)
    return form if form.changed else None


def _fixed_kernels(model: ModelProto) -> bool:
    """Every convolution's kernel is a constant. ONNX Runtime 1.31 gives its convolution for channels last a kernel that
    is computed, as behind a DequantizeLinear, in the wrong layout ("C: 16 kernel channels: 3")."""
    fixed = {tensor.name for tensor in model.graph.initializer}
    return all(node.input[1] in fixed for node in model.graph.node if node.op_type == "Conv")


def _is_out_of_memory(error: Exception) -> bool:
    return any(phrase in str(error) for phrase in _OUT_OF_MEMORY)


def provider_missing() -> str | None:
    """Why ONNX Runtime here has no CUDA provider, with the mending command; None if it has one."""
    try:
        ort = need("onnxruntime", "the cuda backend")
    except MissingComponent:
        return "ONNX Runtime for GPUs is not installed (pip install 'trtkit[cuda]')"
    if PROVIDER in ort.get_available_providers():
        return None
    return (
        f"onnxruntime {ort.__version__} here is the CPU build "
        "(pip uninstall -y onnxruntime && pip install 'trtkit[cuda]')"
    )
