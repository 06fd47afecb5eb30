"""A small matting U-Net under an artifacts folder, and folders of photographs to calibrate it on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.export.conftest import checkpoint, small_unet  # noqa: F401 (fixtures)
from trtkit import config as configuration
from trtkit import models
from trtkit.calib.target import Target
from trtkit.config import Config
from trtkit.export.run import export

SIDE = 128


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


@pytest.fixture
def make_target(tmp_path, checkpoint, small_config) -> Callable[..., Target]:  # noqa: F811
    """make_target(root=tmp_path/'artifacts', config=…) → the small U-Net, exported there, as a Target."""

    def make(root: Path = tmp_path / "artifacts", config: Config = small_config) -> Target:
        model = models.get("cv_unet")
        export(model, model.network("matting"), "fp32", root, config, checkpoint)
        return Target(model, model.network("matting"), root, config)

    return make


@pytest.fixture
def target(make_target) -> Target:
    return make_target()


def with_int8(config: Config, **settings: object) -> Config:
    """A copy whose matting network has these settings in its `int8` block."""
    raw = config.model_dump(by_alias=True)
    raw["models"]["cv_unet"]["networks"]["matting"]["int8"] = settings
    return Config.model_validate(raw)


def pictures(folder: Path, *arrays: np.ndarray) -> Path:
    """`folder`, made, with the arrays as PNG files."""
    folder.mkdir(parents=True)
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f"{number}.png")
    return folder


def names(paths: Iterator[Path]) -> set[str]:
    return {path.name for path in paths}
