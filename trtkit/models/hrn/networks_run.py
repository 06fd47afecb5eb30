"""The loaded networks of the pipeline: one call a network for any number of faces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trtkit.errors import CheckFailed
from trtkit.models.spec import NetworkSpec
from trtkit.runtime.backend import MOST_WITHOUT_PROFILES, Arrays, Backend


class Networks:
    """Network name → backend, run by statement."""

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends

    def run(self, spec: NetworkSpec, batch: np.ndarray) -> Arrays:
        """`batch` [N, …] through `spec`'s network, in one run where its profiles allow N; all its outputs, [N, …].

        Raises CheckFailed where one is not finite, as those of a network that overflows are.
        """
        backend, name = self._backends[spec.name], spec.inputs[0].name
        batch = np.ascontiguousarray(batch)
        most = max((profile[name].max[0] for profile in backend.profiles), default=MOST_WITHOUT_PROFILES)
        parts = [backend.run({name: batch[start : start + most]}) for start in range(0, len(batch), most)]
        found = {tensor.name: np.concatenate([part[tensor.name] for part in parts]) for tensor in spec.outputs}
        # A detector that overflows would say that there is nobody, and a mesh of no numbers is no file for anyone.
        if not all(np.isfinite(array).all() for array in found.values()):
            raise CheckFailed(f"hrn/{spec.name} gave numbers that are not finite; run it in FP32")
        return found

    def first(self, spec: NetworkSpec, batch: np.ndarray) -> np.ndarray:
        """The same of a network with one output."""
        return self.run(spec, batch)[spec.outputs[0].name]
