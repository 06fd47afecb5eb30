"""The builder that needs no GPU: TensorRT-RTX, ahead of time, for a named compute capability."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from trtkit.build_engines import trt_build
from trtkit.build_engines.builder import Built, Progress, Source
from trtkit.build_engines.versions import installed_version
from trtkit.config import Profile
from trtkit.optional import installed, need

CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0")
"""What it builds for. Its runtime leaves 7.5 out of its own list: such an engine is built, not executed."""

NEVER_VERSION_COMPATIBLE = (
    "TensorRT-RTX builds no version-compatible engines: its package has no lean runtime to put in"
)
"""It has the flag, and then asks for a libnvinfer_lean that NVIDIA does not ship with it."""

_PURPOSE = "building with TensorRT-RTX"


def module() -> ModuleType:
    """The bindings, or the meta package over them where only that is found. Raises MissingComponent."""
    meta_only = installed("tensorrt_rtx") and not installed("tensorrt_rtx_bindings")
    return need("tensorrt_rtx" if meta_only else "tensorrt_rtx_bindings", _PURPOSE)


class TensorRTRTX:
    """See Builder."""

    name = "tensorrt-rtx"

    def __init__(self) -> None:
        self.flags: dict[str, Any] = dict(trt_build.COMMON_FLAGS)

    def version(self) -> str:
        return installed_version(self.name) or str(module().__version__)

    def refusal(self, capability: str) -> str | None:
        if capability in CAPABILITIES:
            return None
        return f"TensorRT-RTX does not build for compute capability {capability}, only for {', '.join(CAPABILITIES)}"

    def build(
        self,
        source: Source,
        capability: str,
        profiles: Sequence[Profile],
        progress: Progress | None = None,
    ) -> Built:
        return trt_build.build(module(), trt_build.Request(source, capability, profiles), progress)
