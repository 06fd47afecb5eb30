"""Servers in this process on the tiny network, and the pipeline alone to compare with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the 'serve' extra")
httpx = pytest.importorskip("httpx")

from trtkit import models  # noqa: E402
from trtkit.config import Batching  # noqa: E402
from trtkit.models.imaging.decode import decode_bytes  # noqa: E402
from trtkit.models.pipeline import StageClock  # noqa: E402
from trtkit.runtime.cpu import CpuBackend  # noqa: E402
from trtkit.serve.access import Keys  # noqa: E402
from trtkit.serve.app import make_app  # noqa: E402
from trtkit.serve.limits import Limits  # noqa: E402
from trtkit.serve.opening import open_batcher  # noqa: E402
from trtkit.serve.service import Served, Service  # noqa: E402

from .hub_and_fronts import Hub  # noqa: E402
from .tiny import tiny_onnx, write_tiny  # noqa: E402


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory) -> Path:
    """A folder of artifacts with the tiny network as cv_unet's."""
    return write_tiny(tmp_path_factory.mktemp("artifacts"))


class Wrapped:
    """The tiny network with hands on it: `before` is called with each run's arrays and may raise or wait."""

    def __init__(self) -> None:
        self._real = CpuBackend(tiny_onnx())
        self.before: Callable[[dict[str, np.ndarray]], None] = lambda _: None
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def run(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.before(arrays)
        outputs = self._real.run(arrays)
        self.batches.append(len(arrays["image"]))
        return outputs


@pytest.fixture
def network() -> Wrapped:
    return Wrapped()


@pytest.fixture
def serve(network) -> Iterator[Callable[..., Any]]:
    """serve(test, limits=…, batching=…, keys=…, cors=…): runs the coroutine `test(client, service)` on a server."""

    def run(
        test: Callable[[Any, Service], Awaitable[None]],
        limits: Limits | None = None,
        batching: Batching | None = None,
        keys: tuple[str, ...] = (),
        cors: tuple[str, ...] = (),
    ) -> None:
        limits = limits or Limits(workers=2)
        model = models.get("cv_unet")
        spec = model.networks[0]

        async def whole() -> None:
            batcher = open_batcher("cv_unet/matting", [network], spec, batching or Batching(), limits)
            network.batches.clear()
            service = Service({"cv_unet": Served(model, {spec.name: batcher}, limits.megapixels)}, limits)
            transport = httpx.ASGITransport(make_app(service, Keys(list(keys)), cors))
            try:
                async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
                    await asyncio.wait_for(test(client, service), 60)
            finally:
                network.before = lambda _: None
                service.close()
            assert not service.under_way, "a request never left"

        asyncio.run(whole())

    return run


def alone(data: bytes, **options: Any) -> np.ndarray:
    """What the pipeline makes of a file with no server around it, on the tiny network."""
    with CpuBackend(tiny_onnx()) as backend:
        pipeline = models.get("cv_unet").open_pipeline({"matting": backend}, options, 100)
        clock = StageClock()
        item = pipeline.prepare(decode_bytes(data, "it"), clock)
        return pipeline.finish(item, pipeline.run([item], clock)[0], clock)


@pytest.fixture
def hub(network) -> Iterator[Callable[..., Hub]]:
    opened: list[Hub] = []

    def make(delay: float = 0.0) -> Hub:
        opened.append(Hub(network, delay))
        return opened[0]

    yield make
    network.before = lambda _: None
    for one in opened:
        one.close()
