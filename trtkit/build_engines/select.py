"""Which builder makes the engine for a GPU, or what serves that GPU where none can."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trtkit.build_engines.builder import Builder
from trtkit.build_engines.tensorrt import TensorRT
from trtkit.build_engines.tensorrt_rtx import NEVER_VERSION_COMPATIBLE, TensorRTRTX
from trtkit.config import Gpu
from trtkit.errors import Mistake
from trtkit.optional import installed

AUTO = "auto"
NAMES = (AUTO, TensorRTRTX.name, TensorRT.name)
"""The values of --builder."""


@dataclass(frozen=True)
class NoBuilder:
    """No engine for this GPU: the ONNX file itself is what serves it. `sentence` says so and why."""

    sentence: str


def choose(name: str, gpu_name: str, gpu: Gpu, root: Path, version_compatible: bool = False) -> Builder | NoBuilder:
    """Pick the builder for --builder `name` and --gpu `gpu_name`.

    'auto' is TensorRT where it is installed and this machine has a GPU of the target's capability, else
    TensorRT-RTX, else NoBuilder (V100; H100 and H200 without TensorRT). Raises Mistake if `name` is unknown or
    names a builder that cannot build for this GPU here, and if none can make a `version_compatible` engine.
    """
    if version_compatible:
        return _version_compatible(name, gpu_name, gpu, TensorRT(root, version_compatible=True))
    builders: dict[str, Builder] = {TensorRT.name: TensorRT(root), TensorRTRTX.name: TensorRTRTX()}
    if name == AUTO:
        return _best(builders, gpu_name, gpu)
    if name not in builders:
        raise Mistake(f"--builder {name} is not known; choose one of: {', '.join(NAMES)}")
    refusal = builders[name].refusal(gpu.compute_capability)
    if refusal is not None:
        raise Mistake(f"--builder {name} cannot serve --gpu {gpu_name}: {refusal}; use --builder {AUTO}")
    return builders[name]


def _version_compatible(name: str, gpu_name: str, gpu: Gpu, builder: TensorRT) -> Builder:
    if name == TensorRTRTX.name:
        refusal: str | None = NEVER_VERSION_COMPATIBLE
    else:
        refusal = builder.refusal(gpu.compute_capability)
    if refusal is not None:
        raise Mistake(
            f"--version-compatible cannot serve --gpu {gpu_name}: {refusal}; "
            "build with --builder tensorrt on that GPU, or leave the option out"
        )
    return builder


def _best(builders: dict[str, Builder], gpu_name: str, gpu: Gpu) -> Builder | NoBuilder:
    reasons: list[str] = []
    for builder in builders.values():
        refusal = builder.refusal(gpu.compute_capability)
        if builder.name not in gpu.served_by:
            refusal = refusal or f"engines.yaml does not list {builder.name} for it"
        elif refusal is None and builder.name == TensorRT.name and not installed("tensorrt"):
            refusal = "TensorRT is not installed here (pip install 'trtkit[tensorrt]')"
        if refusal is None:
            return builder
        reasons.append(refusal)
    why = "; ".join(reasons)
    return NoBuilder(f"{gpu_name} ({gpu.title}) is served by the ONNX file itself on onnxruntime-gpu: {why}")
