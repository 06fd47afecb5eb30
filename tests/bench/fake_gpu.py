"""cv_unet on an engine that runs on the fake GPU (tests/runtime/fake_cuda.py), since no test machine has a real one.

Its alpha is the red channel, as in tests/serve/tiny.py, whose ONNX file it says it was built from.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from tests.runtime.fake_cuda import FakeCuda, FakeEngine
from tests.serve.tiny import tiny_onnx, write_tiny
from trtkit import manifest
from trtkit.config import ShapeRange
from trtkit.manifest import CameOut, MadeFor, MadeOf, MadeWith, Manifest, WeightsRecord
from trtkit.runtime.gpu import GpuBackend, Place
from trtkit.runtime.select import Loaded
from trtkit.runtime.shapes import Shapes
from trtkit.runtime.slots import Slot

ORDINAL = 77
ONNX = "matting.fp32.onnx"
ENGINE = "matting.fp32.sm99.tensorrt.engine"


class RedChannel(FakeEngine):
    """uint8 'image' [N, H, W, 3] → uint8 'alpha' [N, H, W, 1], up to four of 64x64 at once."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.inputs = {"image": (np.dtype(np.uint8), (None, None, None, 3))}
        self.outputs = {"alpha": (np.dtype(np.uint8), (None, None, None, 1))}
        self.profiles = [{"image": ShapeRange(min=[1, 32, 32, 3], opt=[1, 64, 64, 3], max=[4, 64, 64, 3])}]

    def output_shapes(self, shapes: Shapes) -> Shapes:
        return {"alpha": (*shapes["image"][:3], 1)}

    def enqueue(self, slot: Slot, shapes: Shapes) -> None:
        cuda: FakeCuda = self.place.cuda  # type: ignore[assignment]
        size = int(np.prod(shapes["image"]))
        source, target = slot.device["image"], slot.device["alpha"]

        def kernel() -> None:
            cuda.bytes_at(target, size // 3)[:] = cuda.bytes_at(source, size)[::3]

        cuda.launch(self.place.stream, kernel)


def engine_under(root: Path) -> Path:
    """An engine with its manifest under `root`, and the ONNX file that it was built from."""
    write_tiny(root)
    path, content = root / "cv_unet" / ENGINE, b"no engine at all"
    onnx = hashlib.sha256(tiny_onnx()).hexdigest()
    record = Manifest(
        kind="engine",
        model="cv_unet",
        network="matting",
        precision="fp32",
        made_of=MadeOf(weights=WeightsRecord(kind="file", sha256=onnx), onnx_sha256=onnx),
        made_with=MadeWith(trtkit="0", tool="tensorrt", version="0"),
        made_for=MadeFor(compute_capability="9.9"),
        came_out=CameOut(sha256=hashlib.sha256(content).hexdigest(), size=len(content)),
        build_key="test",
    )
    manifest.publish(path, content, record)
    return path


def load_engine(root: Path, slots: int) -> Loaded:
    """What select.load gives on a machine with TensorRT and a GPU."""
    cuda: Any = FakeCuda(room=1 << 26)
    backend = GpuBackend("tensorrt", ORDINAL, lambda _: cuda, RedChannel, slots)
    path = root / "cv_unet" / ENGINE
    return Loaded(backend, manifest.read(path), path, "tensorrt: the fake GPU, fp32", "weights of a test")
