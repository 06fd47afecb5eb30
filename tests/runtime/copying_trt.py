"""FakeTrt whose contexts copy input to output on the real GPU: something that a stream capture can really hold."""

from __future__ import annotations

import numpy as np

from .fake_trt import FakeContext, FakeEngineObject, FakeRuntime, FakeRuntimeConfig, FakeTrt


class CopyingContext(FakeContext):
    def execute_async_v3(self, handle: int) -> bool:
        from cuda.bindings import driver

        size = int(np.prod(self.shape))
        status, *_ = driver.cuMemcpyDtoDAsync(
            self.addresses["inverted"], self.addresses["image"], size, driver.CUstream(handle)
        )
        return int(status) == 0


class CopyingEngine(FakeEngineObject):
    def create_execution_context(self, how: object) -> FakeContext:
        assert not isinstance(how, FakeRuntimeConfig)
        return CopyingContext(self, how, graphs=False)  # type: ignore[arg-type]


class CopyingRuntime(FakeRuntime):
    def deserialize_cuda_engine(self, content: bytes) -> FakeEngineObject:
        return CopyingEngine(self.trt)


class CopyingTrt(FakeTrt):
    def __init__(self) -> None:
        super().__init__(None, "copying_trt")  # type: ignore[arg-type]

    def Runtime(self, logger: object) -> FakeRuntime:  # noqa: N802
        return CopyingRuntime(self)
