"""A fake of TensorRT's runtime objects on the fake GPU, for what this project adds around them.

Names and signatures are held against the real bindings elsewhere (tests/build_engines/test_contract.py); here the
network is '255 - image' and the interest lies in contexts, profiles, graphs and refusals.
"""

from __future__ import annotations

import enum
from types import SimpleNamespace
from typing import Any

import numpy as np

from .fake_cuda import FakeCuda


class Mode(enum.Enum):
    INPUT, OUTPUT = 0, 1


class Strategy(enum.Enum):
    STATIC, USER_MANAGED = 0, 2


class Graphs(enum.Enum):
    DISABLED, WHOLE_GRAPH_CAPTURE = 0, 1


class Validity(enum.Enum):
    VALID, INVALID = 0, 1


class Diagnostics(enum.IntEnum):
    VERSION_MISMATCH, UNSUPPORTED_CC = 1, 2


class ILogger:
    VERBOSE, INFO, WARNING, ERROR = 4, 3, 2, 1

    def __init__(self) -> None: ...


class FakeContext:
    def __init__(self, engine: FakeEngineObject, strategy: Strategy, graphs: bool) -> None:
        self.engine, self.strategy, self.graphs = engine, strategy, graphs
        self.profile: int | None = None
        self.shape: tuple[int, ...] | None = None
        self.addresses: dict[str, int] = {}
        self.memory: tuple[int, int] | None = None
        self.runs = 0
        engine.contexts.append(self)

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        self.profile = profile
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        least, _, most = self.engine.ranges[self.profile]
        self.shape = tuple(shape)
        return all(a <= b <= c for a, b, c in zip(least, shape, most, strict=True))

    def infer_shapes(self) -> list[str]:
        return [] if self.shape else ["image"]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.engine.trt.output_shape(self.shape)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def set_device_memory(self, address: int, size: int) -> None:
        self.memory = (address, size)

    def execute_async_v3(self, handle: int) -> bool:
        assert self.strategy is Strategy.USER_MANAGED
        assert self.memory is not None
        cuda: FakeCuda = self.engine.trt.cuda
        cuda.bytes_at(self.memory[0], self.memory[1])
        self.runs += 1
        if self.engine.trt.refuse_runs:
            return False
        if self.graphs and self.engine.trt.stale_graphs:
            return True  # an empty graph: no error, no output (ultralytics#26223)
        stream = next(stream for stream in cuda.streams if id(stream) == handle)
        size, source, target = int(np.prod(self.shape)), self.addresses["image"], self.addresses["inverted"]
        cuda.launch(stream, lambda: self._kernel(cuda, source, target, size))
        return True

    def _kernel(self, cuda: FakeCuda, source: int, target: int, size: int) -> None:
        cuda.bytes_at(target, size)[:] = 255 - cuda.bytes_at(source, size)


class FakeRuntimeCache:
    def __init__(self) -> None:
        self.content = b"compiled"
        self.loaded: bytes | None = None

    def serialize(self) -> bytes:
        return self.content

    def deserialize(self, blob: bytes) -> bool:
        self.loaded = blob
        return blob == self.content


class FakeRuntimeConfig:
    def __init__(self) -> None:
        self.cuda_graph_strategy = Graphs.DISABLED
        self.strategy = Strategy.STATIC
        self.cache: FakeRuntimeCache | None = None

    def set_execution_context_allocation_strategy(self, strategy: Strategy) -> None:
        self.strategy = strategy

    def create_runtime_cache(self) -> FakeRuntimeCache:
        return FakeRuntimeCache()

    def set_runtime_cache(self, cache: FakeRuntimeCache) -> bool:
        self.cache = cache
        return True


class FakeEngineObject:
    num_io_tensors = 2
    num_optimization_profiles = 2
    ranges = (((1, 1), (1, 8), (4, 16)), ((1, 1), (2, 32), (4, 64)))

    def __init__(self, trt: FakeTrt) -> None:
        self.trt = trt
        self.contexts: list[FakeContext] = []

    def get_tensor_name(self, index: int) -> str:
        return ("image", "inverted")[index]

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.INPUT if name == "image" else Mode.OUTPUT

    def get_tensor_location(self, name: str) -> str:
        return "device"

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name="UINT8")

    def get_tensor_shape(self, name: str) -> tuple[int, int]:
        return (-1, -1)

    def get_tensor_profile_shape(self, name: str, profile: int) -> Any:
        return self.ranges[profile]

    def get_device_memory_size_for_profile_v2(self, profile: int) -> int:
        return (1024, 2048)[profile]

    def create_runtime_config(self) -> FakeRuntimeConfig:
        return FakeRuntimeConfig()

    def create_execution_context(self, how: Any) -> FakeContext:
        if isinstance(how, FakeRuntimeConfig):
            assert how.cache is not None
            return FakeContext(self, how.strategy, how.cuda_graph_strategy is Graphs.WHOLE_GRAPH_CAPTURE)
        return FakeContext(self, how, graphs=False)


class FakeRuntime:
    engine_header_size = 4
    engine_host_code_allowed = False

    def __init__(self, trt: FakeTrt) -> None:
        self.trt = trt
        trt.runtimes.append(self)

    def deserialize_cuda_engine(self, content: bytes) -> FakeEngineObject | None:
        if content != b"plan of 255 - x":
            self.trt.logger.log(ILogger.ERROR, "IRuntime::deserialize: Error Code 1: Serialization (magic tag wrong.)")
            return None
        self.trt.engine = FakeEngineObject(self.trt)
        return self.trt.engine

    def get_engine_validity(self, header: bytes) -> tuple[Validity, int]:
        assert len(header) == 4
        return (Validity.INVALID, 2) if self.trt.invalid else (Validity.VALID, 0)


class FakeTrt:
    """The module. `refuse_runs`, `stale_graphs` and `invalid` switch its failures on."""

    __name__ = "fake_trt"
    __version__ = "0.0"
    ILogger = ILogger
    TensorIOMode = Mode
    TensorLocation = SimpleNamespace(DEVICE="device")
    ExecutionContextAllocationStrategy = Strategy
    CudaGraphStrategy = Graphs
    EngineValidity = Validity
    EngineInvalidityDiagnostics = Diagnostics

    def __init__(self, cuda: FakeCuda, name: str) -> None:
        self.__name__ = name  # log_lines keeps a logger for each module
        self.cuda = cuda
        self.refuse_runs = self.stale_graphs = self.invalid = False
        self.output_shape = lambda shape: shape
        self.engine: FakeEngineObject | None = None
        self.runtimes: list[FakeRuntime] = []
        self.logger: Any = None

    def Runtime(self, logger: Any) -> FakeRuntime:  # noqa: N802
        self.logger = logger
        return FakeRuntime(self)
