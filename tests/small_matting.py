"""A small matting U-Net on random weights, exported and calibrated: fixtures for every folder (see conftest.py)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from PIL import Image
from skimage import data

from trtkit import config as configuration
from trtkit import models
from trtkit.calib.run import Wish, calibrate
from trtkit.calib.target import Target
from trtkit.config import Config
from trtkit.export.run import export

if TYPE_CHECKING:
    from trtkit.models.cv_unet.network import MattingUNet

SIDE = 128


@pytest.fixture(scope="session")
def small_unet() -> MattingUNet:
    """A matting U-Net of a few channels whose random alpha really varies over a photograph."""
    # Here, not above: the process that hands the tests out to others reads this file and needs no torch.
    import torch

    from trtkit.models.cv_unet.network import MattingUNet, UNetConfig

    torch.manual_seed(3)
    unet = MattingUNet(UNetConfig(width=4, depth=2, cap=8, norm=False)).eval()
    with torch.no_grad():
        for parameter in unet.parameters():
            parameter.mul_(2.8)
    return unet


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, small_unet):
    from safetensors.torch import save_file

    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(small_unet.state_dict(), path)
    return path


@pytest.fixture(scope="session")
def small_config() -> Config:
    """The package's settings with cv_unet's engines at 128 x 128 and no block list."""
    raw = configuration.load().model_dump(by_alias=True)
    shape = {"min": [1, 64, 64, 3], "opt": [1, SIDE, SIDE, 3], "max": [2, SIDE, SIDE, 3]}
    matting = raw["models"]["cv_unet"]["networks"]["matting"]
    matting["profiles"], matting["int8"] = [{"image": shape}], {"sad_percent": 5.0}
    return Config.model_validate(raw)


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    """Six crops of two photographs, as PNG files."""
    folder = tmp_path_factory.mktemp("photographs")
    for number in range(6):
        picture = (data.astronaut, data.chelsea)[number % 2]()
        Image.fromarray(picture[20 * number : 20 * number + 200, 30 * number : 30 * number + 220]).save(
            folder / f"{number}.png"
        )
    return folder


@pytest.fixture(scope="session")
def exported_once(tmp_path_factory, checkpoint, small_config) -> Path:
    """An artifacts folder with the FP32 form alone, to be copied."""
    model, root = models.get("cv_unet"), tmp_path_factory.mktemp("exported") / "artifacts"
    export(model, model.network("matting"), "fp32", root, small_config, checkpoint)
    return root


@pytest.fixture(scope="session")
def calibrated_once(tmp_path_factory, exported_once, checkpoint, small_config, photographs) -> Path:
    """An artifacts folder with all three forms, to be copied."""
    model, root = models.get("cv_unet"), tmp_path_factory.mktemp("calibrated") / "artifacts"
    shutil.copytree(exported_once, root)
    export(model, model.network("matting"), "fp16", root, small_config, checkpoint)
    calibrate(Target(model, model.network("matting"), root, small_config), Wish(photographs, limit=2))
    return root


@pytest.fixture
def calibrated(tmp_path, calibrated_once, small_config) -> Target:
    """With all three forms under tmp_path/artifacts."""
    root = shutil.copytree(calibrated_once, tmp_path / "artifacts")
    model = models.get("cv_unet")
    return Target(model, model.network("matting"), root, small_config)


@pytest.fixture
def config_file(tmp_path, small_config) -> Path:
    """The small settings, for --config."""
    return write(tmp_path / "small.yaml", small_config)


def write(path: Path, config: Config) -> Path:
    path.write_text(yaml.safe_dump(config.model_dump(by_alias=True, mode="json")))
    return path


def with_int8(config: Config, **settings: object) -> Config:
    """A copy whose matting network has these settings in its `int8` block."""
    raw = config.model_dump(by_alias=True)
    raw["models"]["cv_unet"]["networks"]["matting"]["int8"] = settings
    return Config.model_validate(raw)
