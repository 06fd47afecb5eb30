"""A small official snapshot, and `trtkit pull` as a process of its own against a hub on the loopback."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub.fake_hub import FakeHub, Files

MODEL_ID, REVISION = "iic/cv_unet_image-matting", "master"


@pytest.fixture(scope="session")
def files() -> Files:
    """What the hub holds of the matting model: 600 kB of graph, and more than a pull wants."""
    return {
        "configuration.json": b'{"framework": "tensorflow"}',
        "tf_graph.pb": random.Random(5).randbytes(600_000),
        "README.md": b"# not needed\n",
        "description/sample.png": bytes(5000),
    }


@pytest.fixture
def hub(files):
    with FakeHub({(MODEL_ID, REVISION): files}) as running:
        yield running


class Puller:
    """`trtkit pull …` in a process whose home, cache and patience are the test's."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("MODELSCOPE_")},
            "HOME": str(folder / "home"),
            "MODELSCOPE_CACHE": str(self.cache),
            "MODELSCOPE_API_MAX_RETRIES": "1",
            "MODELSCOPE_DOWNLOAD_MAX_RETRIES": "1",
            "MODELSCOPE_DOWNLOAD_TIMEOUT": "1",
        }

    @property
    def snapshot(self) -> Path:
        return self.cache / "models" / MODEL_ID.replace("/", "--") / "snapshots" / REVISION

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "trtkit.cli", "pull", *map(str, arguments)]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __call__(self, hub: FakeHub, *arguments: object, model: str = "cv_unet") -> subprocess.CompletedProcess[str]:
        with self.start(model, "--endpoint", hub.endpoint, *arguments) as process:
            out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess([], process.returncode, out, err)


@pytest.fixture
def pull(tmp_path) -> Puller:
    return Puller(tmp_path)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under `folder` with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
