"""Backends on the fake GPU, and the real one where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from trtkit.gpus import local_capabilities
from trtkit.runtime import device as devices
from trtkit.runtime.gpu import GpuBackend

from .fake_cuda import FakeCuda, FakeEngine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if local_capabilities():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs an NVIDIA GPU, and this machine shows none"))


@pytest.fixture
def fake() -> FakeCuda:
    return FakeCuda(jitter=0.0005)


@pytest.fixture
def open_fake(fake: FakeCuda) -> Iterator[Callable[..., GpuBackend]]:
    """open_fake(slots=3, **FakeEngine's options) → a backend on the fake; everything is closed after the test."""
    opened: list[GpuBackend] = []

    def make(slots: int = 3, **options: object) -> GpuBackend:
        engines: list[FakeEngine] = []

        def engine(place):  # type: ignore[no-untyped-def]
            engines.append(FakeEngine(place, **options))  # type: ignore[arg-type]
            return engines[0]

        backend = GpuBackend("cuda", 77, lambda _: fake, engine, slots)
        backend.fake_engine = engines[0]  # type: ignore[attr-defined]
        opened.append(backend)
        return backend

    yield make
    for backend in opened:
        backend.close()
    devices._devices.pop(77, None)


@pytest.fixture
def rows() -> Callable[..., dict[str, np.ndarray]]:
    """rows(n, value, width=8) → {'image': uint8 [n, width]} filled with `value`."""

    def make(n: int, value: int, width: int = 8) -> dict[str, np.ndarray]:
        return {"image": np.full((n, width), value, np.uint8)}

    return make
