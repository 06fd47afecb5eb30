"""A network behind Triton, as a pipeline inside Triton's Python backend calls it (business logic scripting).

It has the face of a Backend, so the pipelines are the same here as in `infer` and `serve`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from trtkit.config import Profile, ShapeRange
from trtkit.errors import Mistake, TrtkitError
from trtkit.models.spec import NetworkSpec, TensorSpec
from trtkit.runtime.backend import Arrays, IOTensors, check_inputs


class TritonFailed(TrtkitError):
    """Triton's own error of a network's run; its text is the sentence."""


class BlsBackend:
    """`shares`: the Triton models of this network, best first, each {"model", "max_batch", "profile"}: a run goes to
    the first whose profile ({} for any shape) admits it, in parts where the batch is larger than it takes.

    `utils` is Triton's triton_python_backend_utils, which exists inside its Python backend alone.
    """

    name = "triton"

    def __init__(self, utils: Any, spec: NetworkSpec, shares: Sequence[Mapping[str, Any]]) -> None:
        self._utils, self._shares = utils, shares
        self.device = f"Triton model {shares[0]['model']}"
        self.inputs, self.outputs = _tensors(spec.inputs), _tensors(spec.outputs)
        self._profiles = [_profile(share["profile"]) for share in shares]
        self.profiles: Sequence[Profile] = [profile for profile in self._profiles if profile]

    def run(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """Raises Mistake for arrays that do not fit the network, TritonFailed with Triton's words."""
        check_inputs(self.inputs, arrays)
        share = self._share(arrays)
        rows, most = len(next(iter(arrays.values()))), share["max_batch"]
        if not most or rows <= most:
            return self._exec(share["model"], arrays)
        parts = [
            self._exec(share["model"], {name: array[at : at + most] for name, array in arrays.items()})
            for at in range(0, rows, most)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.outputs}

    def submit(self, arrays: Mapping[str, np.ndarray]) -> Future[Arrays]:
        future: Future[Arrays] = Future()
        try:
            future.set_result(self.run(arrays))
        except TrtkitError as error:
            future.set_exception(error)
        return future

    def trim(self) -> None:
        """The memory is Triton's."""

    def close(self) -> None:
        """The network is Triton's."""

    def _share(self, arrays: Mapping[str, np.ndarray]) -> Mapping[str, Any]:
        for share, profile in zip(self._shares, self._profiles, strict=True):
            # A batch past the profile's goes in parts, so only the sizes behind the first axis decide.
            if all(profile[name].admits((profile[name].min[0], *a.shape[1:])) for name, a in arrays.items() if profile):
                return share
        found = "; ".join(f"{name} {'x'.join(map(str, array.shape))}" for name, array in arrays.items())
        raise Mistake(f"no profile of {self.device} admits {found}; ask for a smaller picture or size")

    def _exec(self, model: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
        utils = self._utils
        request = utils.InferenceRequest(
            model_name=model,
            requested_output_names=list(self.outputs),
            inputs=[utils.Tensor(name, np.ascontiguousarray(array)) for name, array in arrays.items()],
            preferred_memory=utils.PreferredMemory(utils.TRITONSERVER_MEMORY_CPU, 0),
        )
        response = request.exec()
        if response.has_error():
            raise TritonFailed(f"Triton model {model}: {response.error().message()}")
        return {name: utils.get_output_tensor_by_name(response, name).as_numpy() for name in self.outputs}


def _tensors(tensors: Sequence[TensorSpec]) -> IOTensors:
    return {
        tensor.name: (np.dtype(tensor.dtype), tuple(axis if isinstance(axis, int) else None for axis in tensor.shape))
        for tensor in tensors
    }


def _profile(plain: Mapping[str, Any]) -> Profile:
    return {name: ShapeRange.model_validate(ranges) for name, ranges in plain.items()}
