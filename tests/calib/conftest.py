"""The small matting U-Net under an artifacts folder, and folders of pictures to calibrate it on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trtkit import models
from trtkit.calib.target import Target
from trtkit.config import Config


@pytest.fixture
def make_target(tmp_path, exported_once, small_config) -> Callable[..., Target]:
    """make_target(root=tmp_path/'artifacts', config=…) → the small U-Net, its FP32 form there, as a Target."""

    def make(root: Path = tmp_path / "artifacts", config: Config = small_config) -> Target:
        model = models.get("cv_unet")
        shutil.copytree(exported_once, root, dirs_exist_ok=True)
        return Target(model, model.network("matting"), root, config)

    return make


@pytest.fixture
def target(make_target) -> Target:
    return make_target()


def pictures(folder: Path, *arrays: np.ndarray) -> Path:
    """`folder`, made, with the arrays as PNG files."""
    folder.mkdir(parents=True)
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f"{number}.png")
    return folder


def names(paths: Iterator[Path]) -> set[str]:
    return {path.name for path in paths}
