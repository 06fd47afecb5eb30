"""A Python with TensorFlow in it, made once with pip and kept: TensorFlow wants versions of its own.

It lies in $TRTKIT_TEST_CACHE, else in the user's cache folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

PACKAGES = ("tensorflow-cpu==2.21.0", "tf2onnx==1.17.0", "onnx==1.23.2")
_UNREACHABLE = ("connection broken", "NewConnectionError", "NameResolutionError", "Max retries exceeded")


def python() -> Path:
    """The interpreter; its environment is made at the first call (about a minute). Skips without a registry."""
    given = os.environ.get("TRTKIT_TEST_CACHE")
    cache = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trtkit-tests"
    versions = "-".join(package.replace("==", "-") for package in PACKAGES)
    root = cache / f"{versions}-python{sys.version_info.major}.{sys.version_info.minor}"
    interpreter, ready = root / "bin" / "python", root / ".ready"
    if not ready.is_file():
        venv.create(root, with_pip=True, clear=True)
        command = [interpreter, "-m", "pip", "install", "--quiet", *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if any(sign in done.stderr for sign in _UNREACHABLE):
            pytest.skip(f"the package registry cannot be reached: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
        ready.touch()
    return interpreter
