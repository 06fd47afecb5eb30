"""What takes long to make and several files want: one folder for all of pytest-xdist's processes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from trtkit.file_lock import alone


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` with what `make` put there, in the first process that asked; the others wait. Not to be
    changed by who gets it."""
    own = factory.getbasetemp()
    root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    ready = root / ".made"
    with alone(root):
        if not ready.is_file():
            shutil.rmtree(root, ignore_errors=True)
            root.mkdir()
            make(root)
            ready.touch()
    return root
