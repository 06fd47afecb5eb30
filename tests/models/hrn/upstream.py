"""An environment with the upstream packages, made once with pip and kept: where their classes serve as oracles.

It lies in $TRTKIT_TEST_CACHE, else in the user's cache folder, and sees the packages of the testing environment, so
that both sides compute with one torch.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

PACKAGES = (
    "modelscope==1.40.2",
    "modelscope-hub",
    "kornia",
    "kornia_rs",
    "torchvision==0.28.0",
    "numba",
    "llvmlite",
    "face-alignment==1.1.1",  # the last that carries the FAN class itself
    "addict",
    "attrs",
    "simplejson",
    "packaging",
    "requests",
    "charset-normalizer",
    "idna",
    "certifi",
    "tqdm",
    "urllib3",
    "filelock",
)
_UNREACHABLE = ("connection broken", "NewConnectionError", "NameResolutionError", "Max retries exceeded")
_VERSION = 1


def _cache() -> Path:
    given = os.environ.get("TRTKIT_TEST_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trtkit-tests"


def python() -> Path:
    """The interpreter of the environment; made at the first call. Skips if the registry cannot be reached."""
    root = _cache() / f"hrn-upstream-{_VERSION}-{sys.version_info.major}.{sys.version_info.minor}"
    interpreter, ready = root / "bin" / "python", root / ".ready"
    here = "\n".join(site.getsitepackages())
    if not ready.is_file():
        venv.create(root, with_pip=True, clear=True)
        command = [interpreter, "-m", "pip", "install", "--quiet", "--no-deps", *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if any(sign in done.stderr for sign in _UNREACHABLE):
            pytest.skip(f"the package registry cannot be reached: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
        ready.touch()
    # Written anew at every use: another testing environment may share this cache.
    (next((root / "lib").glob("python3*")) / "site-packages" / "testing.pth").write_text(here + "\n")
    return interpreter
