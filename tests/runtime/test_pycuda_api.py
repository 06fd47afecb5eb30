"""What a user reads where the driver gives no context: pycuda's driver is a stand-in here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from trtkit.errors import MissingComponent
from trtkit.runtime import pycuda_api
from trtkit.runtime.cuda_api import DeviceTooSmall
from trtkit.runtime.pycuda_api import PyCuda


class Error(Exception):
    """pycuda's own."""


class DriverMemoryError(Error): ...


def full_or_taken(error: Error) -> SimpleNamespace:
    """pycuda.driver of one GPU that gives no context."""

    class Device:
        def __init__(self, ordinal: int) -> None: ...

        @staticmethod
        def count() -> int:
            return 1

        def name(self) -> str:
            return "NVIDIA T4"

        def compute_capability(self) -> tuple[int, int]:
            return 7, 5

        def retain_primary_context(self) -> None:
            raise error

    return SimpleNamespace(Device=Device, Error=Error, MemoryError=DriverMemoryError)


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (DriverMemoryError("out of memory"), DeviceTooSmall, r"GPU 0 \(NVIDIA T4\) has no room left for a CUDA"),
        (Error("exclusive"), MissingComponent, r"GPU 0 \(NVIDIA T4\) gives this process no CUDA context"),
    ],
)
def test_a_gpu_that_another_process_has_is_a_sentence(monkeypatch, error, kind, words):
    monkeypatch.setattr(pycuda_api, "driver", lambda: full_or_taken(error))
    with pytest.raises(kind, match=words):
        PyCuda(0).open()


def test_a_gpu_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(pycuda_api, "driver", lambda: full_or_taken(Error()))
    with pytest.raises(MissingComponent, match="--device 2 does not exist: this machine has 1 GPU, numbered from 0"):
        PyCuda(2)
