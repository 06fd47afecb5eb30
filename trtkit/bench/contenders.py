"""What `bench run` times: the network step, uint8 arrays of the host in, uint8 arrays of the host out.

Ours is the backend as the pipelines use it. Beside it stand, in the same process and rounds, what a user would write
instead; each makes what it needs in `open_…` and frees it with the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trtkit.bench.samples import Burst, burst
from trtkit.errors import MissingComponent
from trtkit.models.spec import NetworkSpec
from trtkit.optional import need
from trtkit.runtime.backend import Backend
from trtkit.runtime.gpu import GpuBackend
from trtkit.runtime.ort_file import model_of
from trtkit.runtime.ort_session import PROVIDER, provider_missing

Arrays = Mapping[str, np.ndarray]
Step = Callable[[Arrays], dict[str, np.ndarray]]
"""One request, from host to host."""

OURS, IN_PLACE, ALONE = "trtkit", "trtkit, in place", "run alone"
RECIPE, PLAIN = "articles' recipe", "ONNX Runtime"
EAGER32, EAGER16, COMPILED = "PyTorch FP32", "PyTorch FP16", "torch.compile FP16"


def ours(backend: Backend, arrays: Arrays) -> dict[str, Burst]:
    """The backend's own ways: on the caller's arrays, in page-locked memory in place, and without any copies."""
    found = {OURS: burst(lambda: backend.run(arrays))}
    if isinstance(backend, GpuBackend):
        shapes = {name: array.shape for name, array in arrays.items()}
        found[IN_PLACE] = lambda times: _in_place(backend, arrays, times)
        found[ALONE] = lambda times: backend.time_alone(shapes, times)
    return found


def _in_place(backend: GpuBackend, arrays: Arrays, times: int) -> list[float]:
    # A slot for this burst alone: kept for longer, the other ways would need more slots than there may be.
    with backend.lease({name: array.shape for name, array in arrays.items()}) as lease:
        for name, array in arrays.items():
            lease.inputs[name][...] = array
        return burst(lease.run)(times)


def pipelined(backend: Backend, arrays: Arrays, requests: int, in_flight: int) -> None:
    """`requests` requests with `in_flight` of them under way at any time."""
    under_way = deque(backend.submit(arrays) for _ in range(min(in_flight, requests)))
    for _ in range(requests - len(under_way)):
        under_way.popleft().result()
        under_way.append(backend.submit(arrays))
    while under_way:
        under_way.popleft().result()


def open_plain(onnx: Path, ordinal: int | None) -> Step:
    """ONNX Runtime as its README has it: a session, and NumPy arrays to `run`. `ordinal`: the GPU, None: the CPU."""
    session = _session(onnx, ordinal)
    names = [output.name for output in session.get_outputs()]
    return lambda arrays: dict(zip(names, session.run(names, dict(arrays)), strict=True))


def _session(onnx: Path, ordinal: int | None) -> Any:
    """On the CUDA provider of GPU `ordinal`, or on the CPU. Raises MissingComponent where the provider does not start:
    ONNX Runtime goes on on the CPU in silence, whose time would stand in the table of a GPU."""
    ort = need("onnxruntime", "the peer 'ONNX Runtime'")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    cpu = "CPUExecutionProvider"
    if ordinal is None:
        return ort.InferenceSession(model_of(onnx), options, providers=[cpu])
    reason = provider_missing()
    if reason is None:
        providers = [(PROVIDER, {"device_id": str(ordinal)}), cpu]
        session = ort.InferenceSession(model_of(onnx), options, providers=providers)
        if session.get_providers()[0] == PROVIDER:
            return session
        reason = "ONNX Runtime's CUDA provider does not start here (trtkit doctor shows what this machine has)"
    raise MissingComponent(reason)


def open_recipe(onnx: Path, ordinal: int, spec: NetworkSpec, context: Any) -> Step:
    """The deployment articles' loop: one image at a time, fresh mem_alloc for each, synchronous copies.

    `context` is pycuda's, current in the calling thread. The network is the same ONNX on the same GPU.
    """
    drv = need("pycuda.driver", "the peer of the articles")
    session = _session(onnx, ordinal)
    symbols = {one.name: one.shape for one in (*spec.inputs, *spec.outputs)}

    def one(arrays: Arrays) -> dict[str, np.ndarray]:
        sizes = {
            axis: size for name, array in arrays.items() for axis, size in zip(symbols[name], array.shape, strict=True)
        }
        binding = session.io_binding()
        buffers = []
        for name, array in arrays.items():
            pointer = drv.mem_alloc(array.nbytes)
            drv.memcpy_htod(pointer, np.ascontiguousarray(array))
            binding.bind_input(name, "cuda", ordinal, array.dtype.type, list(array.shape), int(pointer))
            buffers.append(pointer)
        results = {}
        for output in spec.outputs:
            shape = tuple(sizes.get(axis, axis) for axis in output.shape)
            host = np.empty(shape, output.dtype)
            pointer = drv.mem_alloc(host.nbytes)
            binding.bind_output(output.name, "cuda", ordinal, host.dtype.type, list(host.shape), int(pointer))
            results[output.name] = (host, pointer)
        session.run_with_iobinding(binding)
        for host, pointer in results.values():
            drv.memcpy_dtoh(host, pointer)
        for pointer in [*buffers, *(pointer for _, pointer in results.values())]:
            pointer.free()
        return {name: host for name, (host, _) in results.items()}

    def step(arrays: Arrays) -> dict[str, np.ndarray]:
        parts = [one({name: array[i : i + 1] for name, array in arrays.items()}) for i in range(_batch(arrays))]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return step


def _batch(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())))
