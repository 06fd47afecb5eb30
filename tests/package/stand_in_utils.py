"""A stand-in for what only a running Triton has: its Python backend's utilities."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np


class TritonError:
    INVALID_ARG, INTERNAL = "invalid argument", "internal"

    def __init__(self, message: str, code: str) -> None:
        self.message, self.code = message, code


class Utils:
    """triton_python_backend_utils, as far as trtkit uses it: alpha is the red channel of what the network is given."""

    TRITONSERVER_MEMORY_CPU = 0

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.error: str | None = None

    def PreferredMemory(self, kind, number):  # noqa: N802
        return (kind, number)

    def Tensor(self, name, array):  # noqa: N802
        assert array.flags.c_contiguous
        return SimpleNamespace(name=name, as_numpy=lambda: array)

    def InferenceRequest(self, model_name, requested_output_names, inputs, preferred_memory):  # noqa: N802
        assert requested_output_names == ["alpha"]
        (image,) = inputs

        def run():
            array = image.as_numpy()
            self.calls.append((model_name, len(array)))
            failed = SimpleNamespace(message=lambda: self.error)
            alpha = self.Tensor("alpha", np.ascontiguousarray(array[..., :1]))
            return SimpleNamespace(has_error=lambda: self.error is not None, error=lambda: failed, outputs=[alpha])

        return SimpleNamespace(exec=run)

    @staticmethod
    def get_output_tensor_by_name(response, name):
        return next(tensor for tensor in response.outputs if tensor.name == name)

    # --- for a model that answers requests

    TritonError = TritonError

    @staticmethod
    def get_input_tensor_by_name(request, name):
        return SimpleNamespace(as_numpy=lambda: request.inputs[name])

    @staticmethod
    def InferenceResponse(output_tensors=(), error=None):  # noqa: N802
        return SimpleNamespace(output_tensors=output_tensors, error=error)
