"""Another's trained cartoon weights in the official form, where they lie beside the project (see conftest.py)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.made_once import made_once
from trtkit import config, models
from trtkit.export.run import export

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "dctnet_real"


@pytest.fixture(scope="session")
def real_cartoons(tmp_path_factory) -> Path:
    """An artifacts folder with both networks in FP32, exported once for all processes. To be copied."""
    if not REAL.is_dir():
        pytest.skip("trained weights in the official form are not here (dctnet_real in ../shared/data)")

    def make(folder: Path) -> None:
        model = models.get("dct_net")
        for network in model.networks:
            export(model, network, "fp32", folder, config.load(), REAL)

    return made_once(tmp_path_factory, "real-cartoons", make)
