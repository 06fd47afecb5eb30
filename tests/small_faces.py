"""The embedded coefficient network of hrn, calibrated on its drawn set: fixtures for every folder (see conftest.py)."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest

from tests.made_once import made_once
from trtkit import config as configuration
from trtkit import models
from trtkit.calib.run import Calibrated, Wish, calibrate
from trtkit.calib.target import Target
from trtkit.config import Config


def recon_at(root: Path, config: Config | None = None) -> Target:
    """hrn/net_recon under `root`, on the embedded weights."""
    model = models.get("hrn")
    return Target(model, model.network("net_recon"), root, config or configuration.load())


def with_recon(**settings: object) -> Config:
    """The package's settings with these in net_recon's `int8` block."""
    raw = configuration.load().model_dump(by_alias=True)
    raw["models"]["hrn"]["networks"]["net_recon"]["int8"] |= settings
    return Config.model_validate(raw)


@pytest.fixture(scope="session")
def recon_made(tmp_path_factory) -> tuple[Target, Calibrated]:
    """What `trtkit calibrate hrn` makes of net_recon, once for all processes, and what it says. Not to be changed."""

    def make(folder: Path) -> None:
        (folder / "said").write_bytes(pickle.dumps(calibrate(recon_at(folder / "artifacts"), Wish())))

    folder = made_once(tmp_path_factory, "recon", make)
    return recon_at(folder / "artifacts"), pickle.loads((folder / "said").read_bytes())


@pytest.fixture
def recon(recon_made, tmp_path) -> Target:
    """A copy of it."""
    shutil.copytree(recon_made[0].root, tmp_path / "artifacts")
    return recon_at(tmp_path / "artifacts")
