"""The `tensorrt-rtx` backend: an engine built ahead of time, without the GPU, that finishes compiling at first load.

What it compiles is kept beside the engine in a runtime cache. No machine of the project's tests can run it
(TensorRT-RTX refuses the compute capability that is there): its calls are checked against the real bindings, and
buffers, streams and slots are the ones the `cuda` backend runs on.
"""

from __future__ import annotations

import time
from typing import Any

from trtkit.build_engines.log_lines import logger
from trtkit.build_engines.tensorrt_rtx import module
from trtkit.build_engines.versions import installed_version
from trtkit.errors import CheckFailed, Mistake
from trtkit.optional import installed
from trtkit.runtime import engines, machine
from trtkit.runtime.gpu import GpuBackend, Place
from trtkit.runtime.pycuda_api import PyCuda
from trtkit.runtime.request import Opened, Request
from trtkit.runtime.rtx_cache import CacheFile
from trtkit.runtime.slots import Slot
from trtkit.runtime.trt_engine import Plan, TrtEngine

NAME = "tensorrt-rtx"


def unusable(ordinal: int) -> str | None:
    """Why this machine cannot run it, None if it can; engines aside."""
    capability = machine.capability_of(ordinal)
    if capability == "9.0":
        return "TensorRT-RTX refuses compute capability 9.0"
    if capability is not None and not (installed("tensorrt_rtx_bindings") or installed("tensorrt_rtx")):
        return "TensorRT-RTX is not installed (pip install 'trtkit[rtx]')"
    return machine.lacks(ordinal, "pycuda")


def refusal(request: Request) -> str | None:
    return unusable(request.ordinal) or engines.refusal(request, NAME, None)


def load(request: Request) -> Opened:
    """Raises TrtkitError saying why, if `refusal` would have."""
    found = engines.find(request, NAME)
    if isinstance(found, str):
        raise Mistake(found)
    path = found.path
    record = engines.judge(path, request)
    plan = Plan(path.read_bytes(), str(path), request.spec)

    def open_engine(place: Place) -> RtxEngine:
        return RtxEngine(module(), plan, place, CacheFile.beside(path, record.came_out.sha256, place.cuda.name))

    backend = GpuBackend(NAME, request.ordinal, PyCuda, open_engine, request.slots)
    return Opened(backend, record, path, found.why)


class RtxEngine(TrtEngine):
    """A TrtEngine whose contexts share a runtime cache; `notes` say how long a cold and a warm load took."""

    def __init__(self, trt: Any, plan: Plan, place: Place, cache_file: CacheFile) -> None:
        check_validity(trt, plan.content, plan.what)
        self._cache_file = cache_file
        self._runtime_cache: Any = None
        self._warm = False
        self._began = time.perf_counter()
        library = f"TensorRT-RTX {installed_version(NAME) or trt.__version__}"
        super().__init__(trt, plan, library, place, lambda engine, graphs: self._make(trt, engine, graphs), True)

    def attach(self, slot: Slot) -> None:
        super().attach(slot)
        if self._began:
            self._execute(next(iter(self._ready[slot.number].values())).context)  # compiles what is not in the cache
            self._wait()  # the time is the whole of it, and closing at once must not free what it still writes to
            seconds, self._began = time.perf_counter() - self._began, 0.0
            self.notes.append(self._cache_file.loaded(seconds, self._warm))
            self._save()

    def _wait(self) -> None:
        cuda = self._place.cuda
        done = cuda.event()
        cuda.record(done, self._place.stream)
        cuda.synchronize(done)
        cuda.drop(done)

    def close(self) -> None:
        self._save()
        self._runtime_cache = None
        super().close()

    def abandon(self) -> None:
        from trtkit.runtime.process import immortalise

        immortalise(self._runtime_cache)
        super().abandon()

    def _make(self, trt: Any, engine: Any, graphs: bool) -> Any:
        runtime_config = engine.create_runtime_config()
        runtime_config.set_execution_context_allocation_strategy(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if graphs:
            runtime_config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        if self._runtime_cache is None:
            runtime_cache = runtime_config.create_runtime_cache()
            kept = self._cache_file.read()
            # It refuses what another GPU, driver or version of the library wrote, and then starts empty.
            self._warm = kept is not None and bool(runtime_cache.deserialize(kept))
            self._runtime_cache = runtime_cache
        if not runtime_config.set_runtime_cache(self._runtime_cache):
            raise CheckFailed(f"{self.what}: TensorRT-RTX refused its runtime cache; delete {self._cache_file.path}")
        return engine.create_execution_context(runtime_config)

    def _save(self) -> None:
        if self._runtime_cache is not None:
            runtime_cache = self._runtime_cache
            self._cache_file.write(bytes(runtime_cache.serialize()))


def check_validity(trt: Any, content: bytes, what: str) -> None:
    """Raise CheckFailed with the library's own diagnosis if it would not load the engine; its header is enough."""
    runtime = trt.Runtime(logger(trt))
    validity, diagnostics = runtime.get_engine_validity(content[: runtime.engine_header_size])
    if validity != trt.EngineValidity.INVALID or not int(diagnostics):
        return
    names = [
        name for name, value in trt.EngineInvalidityDiagnostics.__members__.items() if int(value) & int(diagnostics)
    ]
    raise CheckFailed(f"{what} cannot run here, says TensorRT-RTX: {', '.join(names).lower().replace('_', ' ')}")
