"""What a spawned process of the tests runs."""

from __future__ import annotations

import numpy as np


def run_toy(number: int) -> np.ndarray:
    from tests.runtime.test_on_gpu import open_toy, picture

    with open_toy(slots=1) as backend:
        return backend.run(picture(1))["map"]
