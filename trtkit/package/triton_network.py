"""A network as a model of Triton's Python backend: ONNX Runtime's CPU provider, for a Triton without other backends.

Runs inside Triton alone, whose `triton_python_backend_utils` is handed in by the model.py of the repository.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import numpy as np

from trtkit.errors import TrtkitError
from trtkit.runtime.cpu import CpuBackend


class NetworkModel:
    """What model.py's TritonPythonModel derives from. `utils` is set by it."""

    utils: Any

    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        self._batches = config["max_batch_size"] > 0
        self._backend = CpuBackend(Path(args["model_repository"]) / args["model_version"] / "model.onnx")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Requests that Triton batched and whose shapes are one become one run."""
        arrays = [self._arrays(request) for request in requests]
        responses: list[Any] = []
        for _, group in groupby(arrays, key=lambda one: self._fit(one)):
            responses += self._answer(list(group))
        return responses

    def finalize(self) -> None:
        self._backend.close()

    def _arrays(self, request: Any) -> dict[str, np.ndarray]:
        found = {}
        for name in self._backend.inputs:
            tensor = self.utils.get_input_tensor_by_name(request, name)
            if tensor is not None:
                found[name] = tensor.as_numpy()
        return found

    def _fit(self, arrays: Mapping[str, np.ndarray]) -> tuple:
        first = 1 if self._batches else 0
        # Without a batch axis every request is a group of its own.
        return tuple((name, a.shape[first:]) for name, a in arrays.items()) + (() if self._batches else (id(arrays),))

    def _answer(self, group: list[dict[str, np.ndarray]]) -> list[Any]:
        utils = self.utils
        try:
            whole = group[0] if len(group) == 1 else {n: np.concatenate([a[n] for a in group]) for n in group[0]}
            outputs = self._backend.run(whole)
        except TrtkitError as error:
            return [utils.InferenceResponse(error=utils.TritonError(str(error), utils.TritonError.INVALID_ARG))] * len(
                group
            )
        if len(group) == 1:
            return [_response(utils, outputs)]
        ends = list(accumulate(len(next(iter(arrays.values()))) for arrays in group))
        parts = zip([0, *ends], ends, strict=False)
        return [_response(utils, {name: array[at:to] for name, array in outputs.items()}) for at, to in parts]


def _response(utils: Any, outputs: Mapping[str, np.ndarray]) -> Any:
    return utils.InferenceResponse(output_tensors=[utils.Tensor(name, array) for name, array in outputs.items()])
