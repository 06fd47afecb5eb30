"""ONNX Runtime's CUDA provider on the shared layer: one session, its work on the device's own stream.

ONNX Runtime takes a user's stream per session, not per run, so slots do not get a session each (several copies of the
weights) but a CUDA graph each, one for every shape they meet twice. Inputs and outputs are bound to the slots'
device buffers; nothing is copied or waited for inside `run`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtkit.config import Profile
from trtkit.errors import CheckFailed, MissingComponent
from trtkit.optional import need
from trtkit.runtime.backend import IOTensors
from trtkit.runtime.cuda_api import OutOfMemory
from trtkit.runtime.first_replay import same_as_eager
from trtkit.runtime.gpu import Place
from trtkit.runtime.onnx_types import dynamic_as_none, numpy_dtype
from trtkit.runtime.process import immortalise
from trtkit.runtime.shapes import Shapes, SymbolicShapes, input_profiles, resolve
from trtkit.runtime.slots import Slot

PROVIDER = "CUDAExecutionProvider"
MOST_GRAPHS = 64
"""ONNX Runtime keeps every graph until the session ends; shapes beyond these run without one."""
_EAGER = "-1"
_ERRORS, _NOTHING = 3, 4
"""ONNX Runtime's log severities."""
_OUT_OF_MEMORY = ("Failed to allocate memory", "out of memory", "ALLOC_FAILED", "smaller than requested bytes")


@dataclass
class _Bound:
    """One slot with one set of shapes: its binding, its run options, and whether it has been captured."""

    binding: Any
    options: Any
    runs: int = 0
    settled: bool = False


class OrtCudaEngine:
    """See Engine. `file` is a path or the serialized model; `provider_options` go to the CUDA provider as they are.

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
        provider_options: Mapping[str, str] | None = None,
    ) -> None:
        ort = need("onnxruntime", "running a network on the GPU through ONNX Runtime")
        self.what = str(file) if isinstance(file, Path) else "the ONNX model"
        self.library = f"ONNX Runtime {ort.__version__}"
        self.workspace = 0
        self.notes: list[str] = []
        self._ort, self._place = ort, place
        self._graphs = graphs
        options = {
            "device_id": str(place.ordinal),
            "user_compute_stream": str(place.cuda.handle(place.stream)),
            # Grow by what is asked for: the default doubles, and the card is shared.
            "arena_extend_strategy": "kSameAsRequested",
            "prefer_nhwc": "1" if nhwc else "0",
            **(provider_options or {}),
        }
        self._session = self._open(file, options)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        self._symbols: SymbolicShapes = {node.name: tuple(node.shape) for node in inputs}
        self._output_symbols: SymbolicShapes = {node.name: tuple(node.shape) for node in outputs}
        self.inputs: IOTensors = {n.name: (numpy_dtype(n.type), dynamic_as_none(n.shape)) for n in inputs}
        self.outputs: IOTensors = {n.name: (numpy_dtype(n.type), dynamic_as_none(n.shape)) for n in outputs}
        self.profiles: Sequence[Profile] = input_profiles(self.inputs, profiles, self.what)
        self._bound: dict[tuple, _Bound] = {}
        self._captured = 0

    def output_shapes(self, shapes: Shapes) -> Shapes:
        return resolve(self._symbols, self._output_symbols, shapes, self.what)

    def attach(self, slot: Slot) -> None:
        """A slot needs nothing of its own before its first shapes come."""

    def enqueue(self, slot: Slot, shapes: Shapes) -> None:
        key = (slot.number, *shapes.values())
        bound = self._bound.get(key)
        if bound is None:
            bound = self._bound[key] = self._bind(slot, shapes)
        bound.runs += 1
        # Not the first time: many shapes are met once, and a capture costs three runs.
        if self._graphs and not bound.settled and bound.runs > 1 and self._captured < MOST_GRAPHS:
            self._capture(bound, slot, shapes)
        self._run(bound.binding, bound.options)

    def detach(self, slot: Slot) -> None:
        for key in [key for key in self._bound if key[0] == slot.number]:
            del self._bound[key]

    def close(self) -> None:
        self._bound.clear()
        self._session = None

    def abandon(self) -> None:
        immortalise(self._session)
        immortalise(self._bound)

    def _open(self, file: Path | bytes, options: dict[str, str]) -> Any:
        if not self._graphs:
            return self._session_of(file, options)
        try:
            return self._session_of(file, options | {"enable_cuda_graph": "1"}, quiet=True)
        except CheckFailed as error:
            # Control flow, or a copy between host and device inside (ONNX Runtime places some arithmetic on sizes so:
            # seen with a U-Net's Resize to its skip's size). Such a network runs, but not as a graph.
            session = self._session_of(file, options)
            self._graphs = False
            self.notes.append(f"CUDA graphs are off: {error}")
            return session

    def _session_of(self, file: Path | bytes, options: dict[str, str], quiet: bool = False) -> Any:
        ort = self._ort
        ort.set_default_logger_severity(_ERRORS)  # or it warns about plugins at every session
        settings = ort.SessionOptions()
        settings.log_severity_level = _NOTHING if quiet else _ERRORS  # warnings speak of nodes the user did not write
        # The CPU has a few sizes to work out, no more; a pool's threads would spin, and outlive a fork badly.
        settings.intra_op_num_threads = 1
        try:
            session = ort.InferenceSession(
                str(file) if isinstance(file, Path) else file,
                settings,
                providers=[(PROVIDER, options), "CPUExecutionProvider"],
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

    def _bind(self, slot: Slot, shapes: Shapes) -> _Bound:
        binding = self._session.io_binding()
        for name, shape in shapes.items():
            binding.bind_input(
                name, "cuda", self._place.ordinal, self.inputs[name][0].type, list(shape), slot.device[name]
            )
        for name, shape in self.output_shapes(shapes).items():
            binding.bind_output(
                name, "cuda", self._place.ordinal, self.outputs[name][0].type, list(shape), slot.device[name]
            )
        return _Bound(binding, self._options(_EAGER))

    def _options(self, graph: str) -> Any:
        options = self._ort.RunOptions()
        options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        if self._graphs:
            options.add_run_config_entry("gpu_graph_id", graph)
        return options

    def _capture(self, bound: _Bound, slot: Slot, shapes: Shapes) -> None:
        bound.settled = True
        self._captured += 1
        captured = self._options(str(self._captured))

        def replay() -> None:
            self._run(bound.binding, captured)  # runs, captures, replays
            self._run(bound.binding, captured)  # replays alone

        sizes = {
            name: math.prod(shape) * self.outputs[name][0].itemsize
            for name, shape in self.output_shapes(shapes).items()
        }
        eager = bound.options
        if same_as_eager(
            self._place.cuda, self._place.stream, slot, sizes, lambda: self._run(bound.binding, eager), replay
        ):
            bound.options = captured
        else:
            self.notes.append(
                f"the CUDA graph of shapes {list(shapes.values())} did not repeat the eager result; it is not used"
            )

    def _run(self, binding: Any, options: Any) -> None:
        try:
            self._session.run_with_iobinding(binding, options)
        except Exception as error:
            # ONNX Runtime's exception types are private to its extension module.
            if _is_out_of_memory(error):
                raise OutOfMemory(str(error)) from error
            raise


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
