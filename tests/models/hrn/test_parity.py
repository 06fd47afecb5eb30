"""Each network against the upstream class: the same names, and on the same random weights the same numbers."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models.hrn import upstream
from tests.models.hrn.modules import NETWORKS
from tests.models.hrn.random_weights import random_input, random_state


@pytest.fixture(scope="session")
def upstream_outputs(tmp_path_factory) -> Path:
    """A folder with NETWORK.npz of every network."""
    folder = tmp_path_factory.mktemp("upstream")
    script = Path(__file__).with_name("upstream_outputs.py")
    done = subprocess.run([upstream.python(), script, folder, *NETWORKS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", NETWORKS)
def test_network_equals_the_upstream_class(name, upstream_outputs):
    with np.load(upstream_outputs / f"{name}.npz") as found:
        arrays = dict(found)
    module = NETWORKS[name]().eval()
    state = random_state(module.state_dict())
    assert sorted(state) == arrays["keys"].tolist()
    module.load_state_dict(state, strict=True)
    *shape, low, high = arrays["input"].tolist()
    with torch.inference_mode():
        outputs = module(random_input(name, tuple(int(size) for size in shape), low, high))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    for index, output in enumerate(outputs):
        wanted = arrays[f"output{index}"]
        assert output.shape == wanted.shape
        assert wanted.std() > 1e-3, "the comparison would prove nothing"
        assert np.abs(output.numpy() - wanted).max() <= 1e-5 * max(1.0, float(np.abs(wanted).max()))
