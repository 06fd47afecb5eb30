"""cv_unet's embedded network, built for one GPU: a fixture for every folder (see conftest.py)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.made_once import made_once


@pytest.fixture(scope="session")
def built_matting(tmp_path_factory) -> Path:
    """What `trtkit build cv_unet --gpu a10` leaves in its working directory, made once for all processes.

    To be copied or read.
    """
    pytest.importorskip("tensorrt_rtx_bindings")

    def make(folder: Path) -> None:
        command = [sys.executable, "-m", "trtkit.cli", "build", "cv_unet", "--gpu", "a10"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    return made_once(tmp_path_factory, "built-matting", make)
