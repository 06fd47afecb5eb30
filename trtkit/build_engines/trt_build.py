"""ONNX to engine: one path for TensorRT 10.x, TensorRT 11.x and TensorRT-RTX.

`trt` is whichever module is present. What differs between them is asked of the module, never guessed from its
version; precision is in the graph (strong typing), the only form all three take.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trtkit.artifacts import sm
from trtkit.build_engines.builder import Built, Progress, Source
from trtkit.build_engines.log_lines import LogLines, collecting, logger, plain
from trtkit.build_engines.memory_plan import read_memory_plan
from trtkit.build_engines.monitor import progress_monitor
from trtkit.build_engines.precision_share import enforce, share_of_network
from trtkit.build_engines.profiles import add_profiles
from trtkit.build_engines.stoppable import run_stoppable
from trtkit.build_engines.timing_cache import attach_timing_cache, keep_timing_cache
from trtkit.config import Profile
from trtkit.errors import CheckFailed, MissingComponent
from trtkit.manifest import PrecisionShare

WORKSPACE_BYTES = 8 << 30
"""Half of the smallest card of engines.yaml (16 GiB): no kernel may be chosen that needs more scratch."""

COMMON_FLAGS: dict[str, Any] = {
    "strongly_typed": True,
    "workspace_bytes": WORKSPACE_BYTES,
    "profiling_verbosity": "DETAILED",
}
"""The settings every build asks for."""


@dataclass(frozen=True)
class Request:
    """What to build. `capability` is the target's, e.g. '8.6'; `timing_cache` the file to keep times in, if any.

    `on_device` makes the GPU to build on current in the building thread, where one is needed. `version_compatible`:
    the engine carries the lean runtime of the version that builds it, and any later TensorRT loads it.
    """

    source: Source
    capability: str
    profiles: Sequence[Profile]
    timing_cache: Path | None = None
    on_device: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext
    version_compatible: bool = False


def build(
    trt: Any,
    request: Request,
    progress: Progress | None = None,
    inspect: Callable[[bytes], PrecisionShare | None] | None = None,
) -> Built:
    """Build in a worker thread while this one listens for Ctrl-C; see Builder.build for what is raised.

    `inspect` counts the precision of the finished engine where it can be deserialized; its figures, if it has
    any, stand in place of the parsed network's.
    """

    def work(stop: threading.Event) -> Built:
        with request.on_device(), collecting() as lines:
            return _build(trt, request, lines, _Talk(progress, stop), inspect)

    return run_stoppable(work)


@dataclass(frozen=True)
class _Talk:
    """How a running build is heard and stopped."""

    progress: Progress | None
    stop: threading.Event


def _build(
    trt: Any, request: Request, lines: LogLines, talk: _Talk, inspect: Callable[[bytes], PrecisionShare | None] | None
) -> Built:
    what = request.source.what
    builder = trt.Builder(logger(trt))
    # TensorRT 10 needs the flag; 11 and RTX type strongly anyway and accept it.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    # The network's weights live in the parser and in the ONNX bytes: both must outlast the build.
    parser = trt.OnnxParser(network, logger(trt))
    _parse(parser, network, request.source.onnx, what)
    share = share_of_network(trt, network)
    # Before the build, which may take an hour: the count is not going to get better.
    enforce(share, request.source)
    config = builder.create_builder_config()
    flags = _configure(trt, config, request)
    add_profiles(builder, config, network, request.profiles, what)
    raised: list[BaseException] = []
    config.progress_monitor = progress_monitor(trt, talk.progress, talk.stop, raised)
    serialized = builder.build_serialized_network(network, config)
    if raised:
        raise raised[0]
    if serialized is None:
        raise CheckFailed(f"{what} parses, but no engine came of it for {sm(request.capability)}: {lines.reason()}")
    engine = bytes(serialized)
    if request.timing_cache is not None:
        keep_timing_cache(config, request.timing_cache)
    plan = read_memory_plan(lines.info, what)
    measured = inspect(engine) if inspect is not None else None
    return Built(engine=engine, precision_share=measured or share, memory_plan=plan, flags=flags)


def _parse(parser: Any, network: Any, content: bytes, what: str) -> None:
    """Parse ONNX bytes (weights embedded) into `network`. Raises CheckFailed naming the file and the node."""
    if not parser.parse(content):
        error = parser.get_error(0)
        node = f"node '{error.node_name()}' ({error.node_operator()})" if error.node_operator() else "the file"
        raise CheckFailed(
            f"{what}: TensorRT does not accept {node}: {plain(error.desc())}; export it again with --force"
        )
    if network.num_outputs == 0:  # bytes that are no ONNX at all parse to an empty network without an error
        raise CheckFailed(f"{what} holds no network; export it again with --force")


def _configure(trt: Any, config: Any, request: Request) -> dict[str, Any]:
    """Set everything but profiles and monitor; gives the settings in effect, for the manifest."""
    flags = dict(COMMON_FLAGS)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    # Without it the engine inspector shows names only and nothing can be counted.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if hasattr(trt, "ComputeCapability"):
        # TensorRT-RTX builds for a named capability, without the GPU. One to a file: a list with SM75 gave the
        # same size as SM75 alone, so a shared file is not to be trusted.
        target = getattr(trt.ComputeCapability, sm(request.capability).upper(), None)
        if target is None:
            raise MissingComponent(
                f"the installed {trt.__name__} {trt.__version__} does not know compute capability "
                f"{request.capability}; install a later one with: pip install -U 'trtkit[rtx]'"
            )
        config.num_compute_capabilities = 1
        if not config.set_compute_capability(target, 0):
            raise CheckFailed(f"{trt.__name__} {trt.__version__} refused compute capability {request.capability}")
        flags["compute_capabilities"] = [request.capability]
    elif hasattr(trt.HardwareCompatibilityLevel, "SAME_COMPUTE_CAPABILITY"):
        # Without it the engine of an A10 warns or fails on another 8.6 card (NVIDIA/TensorRT#2195). AMPERE_PLUS
        # would go further and has given silent zeros (pytorch/TensorRT#4481).
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY
        flags["hardware_compatibility"] = "SAME_COMPUTE_CAPABILITY"
    else:
        flags["hardware_compatibility"] = "NONE"
    if request.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
        flags["version_compatible"] = True
    if request.timing_cache is not None:
        attach_timing_cache(config, request.timing_cache)
    return flags
