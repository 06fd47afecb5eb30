"""Environments of their own for packages that want other versions than the project, made once with pip and kept.

They lie in $TRTKIT_TEST_CACHE, else in the user's cache folder.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

_UNREACHABLE = ("connection broken", "NewConnectionError", "NameResolutionError", "Max retries exceeded")


def interpreter(name: str, packages: Sequence[str], without_dependencies: Sequence[str] = ()) -> Path:
    """The Python of an environment with `packages`, called by `name` and what is in it; it is made at the first call.

    `without_dependencies` are installed as they are. Skips, saying why, without a registry; fails if pip does.
    """
    given = os.environ.get("TRTKIT_TEST_CACHE")
    cache = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trtkit-tests"
    contents = hashlib.sha256(" ".join((*packages, *without_dependencies)).encode()).hexdigest()[:12]
    root = cache / f"{name}-{contents}-python{sys.version_info.major}.{sys.version_info.minor}"
    python, ready = root / "bin" / "python", root / ".ready"
    with alone(root):
        if not ready.is_file():
            venv.create(root, with_pip=True, clear=True)
            if packages:
                _install(python, packages)
            if without_dependencies:
                _install(python, ["--no-deps", *without_dependencies])
            ready.touch()
    return python


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Of all processes, the only one that makes what shall lie at `path`; the others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f"{path.name}.lock")):
        yield


def _install(python: Path, arguments: Sequence[str]) -> None:
    command = [python, "-m", "pip", "install", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if any(sign in done.stderr for sign in _UNREACHABLE):
        pytest.skip(f"the package registry cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
