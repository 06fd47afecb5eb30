"""The `cuda` backend: the exported ONNX file itself, on ONNX Runtime's CUDA provider and the shared layer."""

from __future__ import annotations

from pathlib import Path

from trtkit import artifacts, manifest
from trtkit.errors import MissingComponent
from trtkit.runtime import machine
from trtkit.runtime.gpu import GpuBackend, Place
from trtkit.runtime.left_over import left_over
from trtkit.runtime.ort_cuda import OrtCudaEngine
from trtkit.runtime.ort_session import provider_missing
from trtkit.runtime.pycuda_api import PyCuda
from trtkit.runtime.request import Opened, Request

NAME = "cuda"


def unusable(ordinal: int) -> str | None:
    """Why this machine cannot run it, None if it can."""
    return machine.lacks(ordinal, "pycuda") or provider_missing()


def refusal(request: Request) -> str | None:
    reason = unusable(request.ordinal)
    if reason is None and onnx_file(request, half=True) is None:
        return f"{request.root / request.model.folder} has no ONNX file (trtkit export {request.model.called})"
    return reason


def load(request: Request) -> Opened:
    """Raises MissingComponent or CheckFailed saying why, if it cannot be opened."""
    path = onnx_file(request, half=True)
    if path is None:
        raise MissingComponent(str(refusal(request)))
    record = manifest.read_verified(path)
    configured = request.config.models.get(request.model.name)
    network = configured.networks.get(request.spec.name) if configured else None
    profiles = network.profiles if network else []

    def open_engine(place: Place) -> OrtCudaEngine:
        return OrtCudaEngine(path, place, profiles)

    backend = GpuBackend(NAME, request.ordinal, PyCuda, open_engine, request.slots)
    return Opened(backend, record, path)


def onnx_file(request: Request, half: bool) -> Path | None:
    """The exported FP16 form (where `half`), else the exported FP32 form, else the one in the package; or the exported
    form in the precision asked for, if one was. Of the exported ones, none that is left over from other weights.
    """
    model, network = request.model, request.spec.name
    for precision in (request.precision,) if request.precision else (("fp16", "fp32") if half else ("fp32",)):
        path = artifacts.onnx_path(request.root, model.folder, network, precision)
        if path.is_file() and left_over(manifest.read(path), request) is None:
            return path
    embedded = model.embedded_onnx(network)
    return embedded if embedded.is_file() and not request.precision else None
