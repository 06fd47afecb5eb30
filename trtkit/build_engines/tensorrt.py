"""The builder that measures on the target itself: TensorRT 10.x or 11.x, on a GPU of the engine's capability."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from trtkit.build_engines import trt_build
from trtkit.build_engines.builder import Built, Progress
from trtkit.build_engines.log_lines import logger
from trtkit.build_engines.precision_share import share_of_engine
from trtkit.build_engines.timing_cache import timing_cache_path
from trtkit.build_engines.versions import installed_version
from trtkit.config import Precision, Profile
from trtkit.errors import CheckFailed
from trtkit.gpus import current_gpu, local_capabilities
from trtkit.manifest import PrecisionShare
from trtkit.optional import need

FIRST_CAPABILITY = "7.5"
"""TensorRT dropped 7.0 (V100) after 10.4."""


def module() -> ModuleType:
    """TensorRT. Raises MissingComponent."""
    return need("tensorrt", "building with TensorRT")


class TensorRT:
    """See Builder. `root` is the artifacts' root, under which kernel times are kept from build to build."""

    name = "tensorrt"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.flags: dict[str, Any] = {**trt_build.COMMON_FLAGS, "hardware_compatibility": "SAME_COMPUTE_CAPABILITY"}

    def version(self) -> str:
        return installed_version(self.name) or str(module().__version__)

    def refusal(self, capability: str) -> str | None:
        if float(capability) < float(FIRST_CAPABILITY):
            return f"TensorRT does not build for compute capability {capability}: it starts at {FIRST_CAPABILITY}"
        here = local_capabilities()
        if capability in here:
            return None
        found = f"has compute capability {', '.join(here)}" if here else "has no NVIDIA GPU"
        return f"TensorRT builds for compute capability {capability} only on such a GPU, and this machine {found}"

    def build(
        self,
        onnx_path: Path,
        capability: str,
        profiles: Sequence[Profile],
        precision: Precision,
        progress: Progress | None = None,
    ) -> Built:
        trt = module()
        cache = timing_cache_path(self.root, self.version(), capability)
        request = trt_build.Request(onnx_path, capability, profiles, precision, cache, lambda: current_gpu(capability))
        return trt_build.build(trt, request, progress, lambda engine: inspect(trt, engine))


def inspect(trt: Any, content: bytes) -> PrecisionShare | None:
    """Deserialize an engine on the current GPU and count its layers' precisions. Raises CheckFailed."""
    runtime = trt.Runtime(logger(trt))
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:  # never let it escape as None (NVIDIA/TensorRT#2105)
        raise CheckFailed("the engine that was just built does not load on this GPU, so nothing of it is kept")
    inspector = engine.create_engine_inspector()
    return share_of_engine(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
