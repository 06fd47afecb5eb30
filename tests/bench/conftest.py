"""A photograph for `bench run`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "noise.jpg"
    pixels = np.random.default_rng(0).integers(0, 256, (180, 240, 3), np.uint8)
    path.write_bytes(cv2.imencode(".jpg", cv2.blur(pixels, (9, 9)))[1].tobytes())
    return path
