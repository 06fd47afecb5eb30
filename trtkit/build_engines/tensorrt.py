"""The builder that measures on the target itself: TensorRT 10.x or 11.x, on a GPU of the engine's capability."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from trtkit.build_engines import trt_build
from trtkit.build_engines.builder import Built, Progress, Source
from trtkit.build_engines.log_lines import logger
from trtkit.build_engines.precision_share import share_of_engine
from trtkit.build_engines.timing_cache import timing_cache_path
from trtkit.build_engines.versions import installed_version
from trtkit.config import Profile
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
    """See Builder. `root` is the artifacts' root, under which kernel times are kept from build to build;
    `version_compatible`: see trt_build.Request."""

    name = "tensorrt"

    def __init__(self, root: Path, version_compatible: bool = False) -> None:
        self.root = root
        self.version_compatible = version_compatible
        self.flags: dict[str, Any] = {**trt_build.COMMON_FLAGS, "hardware_compatibility": "SAME_COMPUTE_CAPABILITY"}
        if version_compatible:
            self.flags["version_compatible"] = True

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
        source: Source,
        capability: str,
        profiles: Sequence[Profile],
        progress: Progress | None = None,
    ) -> Built:
        trt = module()
        cache = timing_cache_path(self.root, self.version(), capability)
        on_device = partial(current_gpu, capability)
        compatible = self.version_compatible
        request = trt_build.Request(source, capability, profiles, cache, on_device, compatible)
        return trt_build.build(trt, request, progress, lambda engine: inspect(trt, engine, compatible))


def inspect(trt: Any, content: bytes, host_code: bool = False) -> PrecisionShare | None:
    """Deserialize an engine on the current GPU and count its layers' precisions. Raises CheckFailed.

    `host_code`: it carries a lean runtime, which is executed with it.
    """
    runtime = trt.Runtime(logger(trt))
    if host_code:
        runtime.engine_host_code_allowed = True
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:  # never let it escape as None (NVIDIA/TensorRT#2105)
        raise CheckFailed("the engine that was just built does not load on this GPU, so nothing of it is kept")
    inspector = engine.create_engine_inspector()
    return share_of_engine(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
