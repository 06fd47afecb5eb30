"""A stretch of host work: an ONNX graph of resizes, sizes, crops and decisions, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trtkit.errors import CheckFailed
from trtkit.optional import need
from trtkit.runtime.ort_file import model_of


class HostWork:
    """`onnx` is a path or the serialized model. Raises CheckFailed, naming it, if ONNX Runtime refuses it."""

    def __init__(self, onnx: Path | bytes) -> None:
        ort = need("onnxruntime", "running the host part of an imported model")
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # Pictures differ in size: plans and blocks of memory for each of them would be kept for good.
        options.enable_mem_pattern = False
        options.enable_cpu_mem_arena = False
        try:
            self._session = ort.InferenceSession(model_of(onnx), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # ONNX Runtime's exception types are private to its extension module.
            subject = onnx if isinstance(onnx, Path) else "a host part"
            raise CheckFailed(f"{subject} does not load in ONNX Runtime: {' '.join(str(error).split())}") from error
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._outputs = [node.name for node in self._session.get_outputs()]

    def run(self, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`tensors` may hold more than is needed. Raises CheckFailed if the work cannot be done on these values."""
        try:
            values = self._session.run(self._outputs, {name: tensors[name] for name in self._inputs})
        except Exception as error:
            raise CheckFailed(f"host work failed on this picture: {' '.join(str(error).split())[:300]}") from error
        return dict(zip(self._outputs, values, strict=True))
