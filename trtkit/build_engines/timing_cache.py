"""TensorRT's timing cache: measured kernel times, kept from build to build.

It takes a build from minutes to seconds (microsoft/onnxruntime#14767: 108.6 s to 9.4 s). TensorRT accepts one
only from its own version and device, so there is a file for each pair. TensorRT-RTX measures nothing when it
builds and has no use for it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from trtkit.artifacts import sm
from trtkit.errors import Mistake
from trtkit.files import write_whole

log = logging.getLogger("trtkit")


def timing_cache_path(root: Path, version: str, capability: str) -> Path:
    """The file for one TensorRT version and compute capability, under the artifacts' root."""
    return root / ".cache" / f"timing.tensorrt-{version}.{sm(capability)}.cache"


def attach_timing_cache(config: Any, path: Path) -> None:
    """Set the cache kept at `path` on the build configuration; an empty one if that is absent or not accepted."""
    cache = config.create_timing_cache(_kept(path))
    if cache is None or not config.set_timing_cache(cache, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _kept(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def keep_timing_cache(config: Any, path: Path) -> None:
    """Write what the build has measured to `path`. Where that cannot be it is said and no more: the engine is made."""
    cache = config.get_timing_cache()
    try:
        write_whole(path, bytes(cache.serialize()))
    except Mistake as error:
        log.warning("note: kernel times are not kept for the next build: %s", error)
