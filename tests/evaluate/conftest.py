"""The small matting U-Net of the calibration's tests, calibrated."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.calib.conftest import photographs, small_config  # noqa: F401 (fixtures)
from tests.export.conftest import checkpoint, small_unet  # noqa: F401 (fixtures)
from trtkit import models
from trtkit.calib.run import Wish, calibrate
from trtkit.calib.target import Target
from trtkit.config import Config
from trtkit.export.run import export


@pytest.fixture
def target(tmp_path, checkpoint, small_config, photographs) -> Target:  # noqa: F811
    """With all three forms under tmp_path/artifacts."""
    model, root = models.get("cv_unet"), tmp_path / "artifacts"
    export(model, model.network("matting"), "fp16", root, small_config, checkpoint)
    made = Target(model, model.network("matting"), root, small_config)
    calibrate(made, Wish(photographs, limit=2))
    return made


@pytest.fixture
def config_file(tmp_path, small_config) -> Path:  # noqa: F811
    """The small settings, for --config."""
    return write(tmp_path / "small.yaml", small_config)


def write(path: Path, config: Config) -> Path:
    path.write_text(yaml.safe_dump(config.model_dump(by_alias=True, mode="json")))
    return path
