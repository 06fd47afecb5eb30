"""Photographs as network inputs: of the stated form, in the stated range, and as varied as photographs are."""

import numpy as np
import pytest
from skimage import data

from trtkit.models.hrn import specs
from trtkit.models.hrn.samples import sample_inputs


@pytest.mark.parametrize("spec", specs.NETWORKS, ids=lambda spec: spec.name)
def test_samples_are_what_the_network_states(spec):
    photographs = [data.astronaut(), data.coffee(), data.astronaut()[:1, :1]]
    made = sample_inputs(spec.name, photographs, (0, 0))
    (entry,) = spec.inputs
    batch = made[entry.name]
    assert batch.shape == (3, *entry.shape[1:])
    assert batch.dtype == entry.dtype
    assert batch.min() >= entry.value_range[0] - 1e-4
    assert batch.max() <= entry.value_range[1] + 1e-4
    assert batch[0].std() > 0.05 * (min(entry.value_range[1], 1.0) - max(entry.value_range[0], -1.0))
    assert not np.array_equal(batch[0], batch[1])
