"""The `tensorrt` backend: an engine that TensorRT 10.x or 11.x built on a GPU of this capability.

No machine of the project's tests can run it (TensorRT's libraries come from NVIDIA's own index): its calls are
checked against the real bindings, and buffers, streams and slots are the ones the `cuda` backend runs on.
"""

from __future__ import annotations

import importlib.metadata
from types import ModuleType
from typing import Any

from trtkit.build_engines.versions import installed_version
from trtkit.errors import Mistake
from trtkit.optional import installed, need
from trtkit.runtime import engines, machine
from trtkit.runtime.gpu import GpuBackend, Place
from trtkit.runtime.pycuda_api import PyCuda
from trtkit.runtime.request import Opened, Request
from trtkit.runtime.trt_engine import Plan, TrtEngine

NAME = "tensorrt"
LEAN = "tensorrt_lean"
"""The runtime alone: enough for engines built version-compatible."""


def unusable(ordinal: int) -> str | None:
    """Why this machine cannot run it, None if it can; engines aside."""
    if machine.capability_of(ordinal) is not None and not (installed("tensorrt") or installed(LEAN)):
        return "TensorRT is not installed (pip install 'trtkit[tensorrt]')"
    return machine.lacks(ordinal, "pycuda", "cuda")


def refusal(request: Request) -> str | None:
    return unusable(request.ordinal) or engines.refusal(request, NAME, library_version())


def load(request: Request) -> Opened:
    """Raises TrtkitError saying why, if `refusal` would have."""
    found = _found(request)
    path = found.path
    record = engines.judge(path, request, library_version())
    lean = engines.version_compatible(record)
    plan = Plan(path.read_bytes(), str(path), request.spec, host_code=lean)

    def open_engine(place: Place) -> TrtEngine:
        trt = module()
        return TrtEngine(trt, plan, f"TensorRT {trt.__version__}", place, context_maker(trt), own_graphs=False)

    backend = GpuBackend(NAME, request.ordinal, PyCuda, open_engine, request.slots)
    return Opened(backend, record, path, found.why)


def module() -> ModuleType:
    """TensorRT, or its lean runtime where only that is installed. Raises MissingComponent."""
    return need(LEAN if installed(LEAN) and not installed("tensorrt") else "tensorrt", "running a TensorRT engine")


def library_version() -> str | None:
    """Of whichever of the two would load an engine."""
    if installed("tensorrt"):
        return installed_version(NAME)
    for distribution in ("tensorrt_lean", "tensorrt_lean_cu13_bindings", "tensorrt_lean_cu12_bindings"):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def context_maker(trt: Any):  # type: ignore[no-untyped-def]
    """See ContextMaker: TensorRT has no graphs of its own, so its second argument changes nothing."""

    def make(engine: Any, own_graphs: bool) -> Any:
        return engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)

    return make


def _found(request: Request) -> engines.Found:
    found = engines.find(request, NAME, library_version())
    if isinstance(found, str):
        raise Mistake(found)
    return found
