"""The loaded networks of the pipeline: one call a network for any number of faces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trtkit.models.spec import NetworkSpec
from trtkit.runtime.backend import Arrays, Backend


class Networks:
    """Network name → backend, run by statement."""

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends

    def run(self, spec: NetworkSpec, batch: np.ndarray) -> Arrays:
        """`batch` [N, …] through `spec`'s network, in one run where its profiles allow N; all its outputs, [N, …]."""
        backend, name = self._backends[spec.name], spec.inputs[0].name
        batch = np.ascontiguousarray(batch)
        most = max((profile[name].max[0] for profile in backend.profiles), default=len(batch))
        parts = [backend.run({name: batch[start : start + most]}) for start in range(0, len(batch), most)]
        return {tensor.name: np.concatenate([part[tensor.name] for part in parts]) for tensor in spec.outputs}

    def first(self, spec: NetworkSpec, batch: np.ndarray) -> np.ndarray:
        """The same of a network with one output."""
        return self.run(spec, batch)[spec.outputs[0].name]
