"""What many tests need: the command line as a user meets it, and real photographs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from trtkit import cli

pytest_plugins = [
    "tests.built_matting",
    "tests.real_cartoons",
    "tests.small_faces",
    "tests.small_matting",
    "tests.workers",
]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def trtkit(monkeypatch, capsys) -> Callable[..., Answer]:
    """Run `trtkit ARGS…` in this process, through the very main() of the command."""

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["trtkit", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session", autouse=True)
def no_snapshots(tmp_path_factory):
    """Official snapshots that this machine's user has pulled are none of the tests' business."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELSCOPE_CACHE", str(tmp_path_factory.getbasetemp() / "no-snapshots"))
        yield


@pytest.fixture(scope="session")
def portrait_pixels() -> np.ndarray:
    """The astronaut photograph of scikit-image, uint8 [512, 512, 3] RGB."""
    return data.astronaut()


@pytest.fixture(scope="session")
def portrait(tmp_path_factory, portrait_pixels) -> Path:
    """The same as a JPEG file."""
    path = tmp_path_factory.mktemp("pictures") / "portrait.jpg"
    Image.fromarray(portrait_pixels).save(path, quality=95)
    return path


@pytest.fixture
def in_empty_folder(tmp_path, monkeypatch) -> Path:
    """A working directory with nothing in it: no engines.yaml, no artifacts."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
