"""The `cuda` backend: the exported ONNX file itself, on ONNX Runtime's CUDA provider and the shared layer."""

from __future__ import annotations

from pathlib import Path

from trtkit import artifacts, manifest
from trtkit.errors import MissingComponent
from trtkit.runtime import machine
from trtkit.runtime.gpu import GpuBackend, Place
from trtkit.runtime.ort_cuda import OrtCudaEngine, provider_missing
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
        return OrtCudaEngine(path, place, profiles, multiple_of=request.spec.multiple_of)

    backend = GpuBackend(NAME, request.ordinal, PyCuda, open_engine, request.slots)
    return Opened(backend, record, path)


def onnx_file(request: Request, half: bool) -> Path | None:
    """The exported FP16 form (where `half`), else the exported FP32 form, else the one in the package; or the exported
    form in the precision asked for, if one was.

    An FP16 form of other weights than the FP32 form beside it is left over from an earlier export: it does not count.
    """
    model, network = request.model, request.spec.name
    if request.precision:
        exact = artifacts.onnx_path(request.root, model.folder, network, request.precision)
        return exact if exact.is_file() else None
    single = artifacts.onnx_path(request.root, model.folder, network, "fp32")
    halved = artifacts.onnx_path(request.root, model.folder, network, "fp16")
    if half and halved.is_file():
        weights = manifest.read(halved).made_of.weights.sha256
        if not single.is_file() or manifest.read(single).made_of.weights.sha256 == weights:
            return halved
    if single.is_file():
        return single
    embedded = model.embedded_onnx(network)
    return embedded if embedded.is_file() else None
