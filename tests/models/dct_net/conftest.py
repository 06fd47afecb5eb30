"""A narrow random DCT-Net on the CPU backend: every layer of the real one, an eighth of its width."""

import pytest

from tests.models.dct_net.generator_onnx import generator, random_weights
from trtkit.runtime.cpu import CpuBackend

CHANNELS = 4


@pytest.fixture(scope="session")
def networks():
    loaded = {
        "background": CpuBackend(generator(random_weights(CHANNELS, seed=1))),
        "head": CpuBackend(generator(random_weights(CHANNELS, seed=2), 288, 288)),
    }
    yield loaded
    for backend in loaded.values():
        backend.close()


@pytest.fixture(scope="session")
def onnx_files():
    """Both networks as serialized ONNX, by name."""
    return {
        "background": generator(random_weights(CHANNELS, seed=1)),
        "head": generator(random_weights(CHANNELS, seed=2), 288, 288),
    }
