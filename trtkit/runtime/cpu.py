"""The CPU backend: ONNX Runtime's CPU provider. Correct anywhere, the default where there is no GPU.

It computes FP16 nodes in FP32, so an FP16 overflow cannot be seen here (export/half_range.py looks for it instead).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trtkit.errors import CheckFailed
from trtkit.optional import need
from trtkit.runtime.backend import Arrays, IOTensors, check_inputs
from trtkit.runtime.onnx_types import dynamic_as_none, numpy_dtype
from trtkit.runtime.ort_file import model_of

if TYPE_CHECKING:
    from trtkit.config import Profile


class CpuBackend:
    """`onnx` is a path or the serialized model; raises CheckFailed, naming it, if ONNX Runtime refuses it."""

    name = "cpu"

    def __init__(self, onnx: Path | bytes, *, optimize: bool = True) -> None:
        ort = need("onnxruntime", "running a network on the CPU")
        options = ort.SessionOptions()
        options.log_severity_level = 3  # errors alone; warnings speak of nodes the user did not write
        # A memory pattern is planned in the first run and allocated in the second, beside what the first left: twice
        # the memory for nothing (1000 bytes a pixel instead of 530 for DCT-Net at 1 megapixel, and no faster).
        options.enable_mem_pattern = False
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL

        def fresh() -> Any:
            return ort.InferenceSession(model_of(onnx), options, providers=["CPUExecutionProvider"])

        self._open = fresh
        try:
            self._session = self._open()
        except Exception as error:
            # ONNX Runtime's exception types are private to its extension module.
            subject = onnx if isinstance(onnx, Path) else "the ONNX model"
            raise CheckFailed(f"{subject} does not load in ONNX Runtime: {' '.join(str(error).split())}") from error
        self.device = f"CPU ({platform.machine()}), ONNX Runtime {ort.__version__}"
        self.inputs = _tensors(self._session.get_inputs())
        self.outputs = _tensors(self._session.get_outputs())
        self.profiles: Sequence[Profile] = ()
        self._queue = ThreadPoolExecutor(1, thread_name_prefix="trtkit-cpu")

    def run(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        check_inputs(self.inputs, arrays)
        outputs = self._session.run(list(self.outputs), dict(arrays))
        return dict(zip(self.outputs, outputs, strict=True))

    def submit(self, arrays: Mapping[str, np.ndarray]) -> Future[Arrays]:
        check_inputs(self.inputs, arrays)
        return self._queue.submit(self.run, arrays)

    def trim(self) -> None:
        # The arena's memory goes with its session alone, and a new session takes less than a tenth of a second.
        # Shrinking the arena at the end of every run instead makes every run 15 to 20 % slower.
        self._session = self._open()

    def close(self) -> None:
        self._queue.shutdown(wait=True)

    def __enter__(self) -> CpuBackend:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _tensors(nodes) -> IOTensors:  # type: ignore[no-untyped-def]
    return {node.name: (numpy_dtype(node.type), dynamic_as_none(node.shape)) for node in nodes}
