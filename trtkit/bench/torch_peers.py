"""PyTorch as a peer of `bench run`: eager in FP32 and FP16, and torch.compile in FP16 with channels last.

The FP16 forms keep in FP32 what ours keeps there (NetworkSpec.keep_fp32), so that all compute the same thing.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from trtkit.bench.contenders import COMPILED, EAGER16, EAGER32, Arrays, Step
from trtkit.errors import MissingComponent
from trtkit.models.spec import Model, NetworkSpec
from trtkit.optional import need


def open_torch(model: Model, spec: NetworkSpec, weights: Path, ordinal: int | None, compiled: bool) -> dict[str, Step]:
    """The peers on GPU `ordinal`; on the CPU (None) FP32 alone. Raises MissingComponent without torch, or without its
    build for GPUs where it is to run on one."""
    torch = need("torch", "the peer 'PyTorch'")
    if ordinal is not None and not torch.cuda.is_available():
        raise MissingComponent(f"torch {torch.__version__} here does not run on GPUs; install its build for CUDA")
    module = model.load_source(spec.name, weights)
    if ordinal is None:
        return {EAGER32: _eager(torch, module, torch.device("cpu"), spec)}
    device = torch.device("cuda", ordinal)
    half = _half(torch, copy.deepcopy(module), spec).to(device)
    peers = {EAGER32: _eager(torch, module.to(device), device, spec), EAGER16: _eager(torch, half, device, spec)}
    if compiled:
        last = copy.deepcopy(half).to(memory_format=torch.channels_last)
        peers[COMPILED] = _pinned(torch, torch.compile(last, dynamic=False), device, spec)
    return peers


def _half(torch: Any, module: Any, spec: NetworkSpec) -> Any:
    """`module` with every child in half precision that the spec does not keep in FP32."""

    class Half(torch.nn.Module):  # type: ignore[misc]  # torch is only known at run time
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner.half()

        def forward(self, x: Any) -> Any:
            return self.inner(x.half()).float()

    for name, child in list(module.named_children()):
        if name not in spec.keep_fp32:
            setattr(module, name, Half(child))
    return module


def _eager(torch: Any, module: Any, device: Any, spec: NetworkSpec) -> Step:
    """NumPy in, `.to(device)`, `.cpu()` out: what most code does."""

    def step(arrays: Arrays) -> dict[str, np.ndarray]:
        with torch.inference_mode():
            found = module(*(torch.from_numpy(arrays[one.name]).to(device) for one in spec.inputs))
            return _named(spec, [one.cpu().numpy() for one in _listed(found)])

    return step


def _pinned(torch: Any, module: Any, device: Any, spec: NetworkSpec) -> Step:
    """The same with page-locked buffers made once a shape and asynchronous copies: what careful code does."""
    kept: dict[Any, Any] = {}

    def buffer(key: Any, like: Any) -> Any:
        if key not in kept:
            kept[key] = torch.empty(like.shape, dtype=like.dtype, pin_memory=True)
        return kept[key]

    def step(arrays: Arrays) -> dict[str, np.ndarray]:
        with torch.inference_mode(), _compiling(torch):
            inputs = []
            for one in spec.inputs:
                array = torch.from_numpy(arrays[one.name])
                host = buffer((one.name, tuple(array.shape)), array)
                host.copy_(array)
                inputs.append(host.to(device, non_blocking=True))
            results = []
            for number, found in enumerate(_listed(module(*inputs))):
                host = buffer((number, tuple(found.shape)), found)
                host.copy_(found, non_blocking=True)
                results.append(host)
            torch.cuda.synchronize(device)
            return _named(spec, [host.numpy().copy() for host in results])

    return step


@contextlib.contextmanager
def _compiling(torch: Any) -> Iterator[None]:
    """torch.compile takes a network's branch for exports (torch 2.11: `is_exporting` is true while it traces)."""
    told, torch.compiler.is_exporting = torch.compiler.is_exporting, lambda: False
    try:
        yield
    finally:
        torch.compiler.is_exporting = told


def _listed(found: Any) -> list[Any]:
    return list(found) if isinstance(found, tuple | list) else [found]


def _named(spec: NetworkSpec, results: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {one.name: result for one, result in zip(spec.outputs, results, strict=True)}
