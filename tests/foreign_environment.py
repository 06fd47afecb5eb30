"""Environments of their own for packages that want other versions than the project, made once with pip and kept.

They lie in $TRTKIT_TEST_CACHE, else in the user's cache folder. `python3 -m tests.foreign_environment` makes them all
before anything is installed: it needs nothing but Python.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trtkit.file_lock import alone

NUMPY_1 = sys.version_info < (3, 13)
"""Whether NumPy 1 has wheels for this Python."""


@dataclass(frozen=True)
class Contents:
    """`without_dependencies` are installed as they are."""

    packages: tuple[str, ...] = ()
    without_dependencies: tuple[str, ...] = ()


ENVIRONMENTS = {
    "tensorflow": Contents(("tensorflow-cpu==2.21.0", "tf2onnx==1.17.0", "onnx==1.23.2")),
    # NVIDIA's run-time compiler and its bindings: it needs no GPU.
    "nvrtc": Contents(("cuda-bindings==13.5.0", "nvidia-cuda-nvrtc==13.5.37")),
    # The upstream packages whose classes serve as oracles; their dependencies are the testing environment's own.
    "hrn-upstream": Contents(
        without_dependencies=(
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
    ),
    "triton": Contents(
        (
            # protobuf reads config.pbtxt by the client's own message definitions.
            "tritonclient[http]==2.73.0",
            "protobuf==6.33.5",
            "pytest==9.2.0",
            # What trtkit's runtime needs. With NumPy 2 the Python backend of tritonserver 2.51 returns empty tensors
            # (python_backend #384, mended in a later release).
            "numpy==1.26.4" if NUMPY_1 else "numpy==2.3.5",
            "isal==1.8.0",
            "onnxruntime==1.23.2",
            "opencv-python-headless==4.11.0.86",
            "pillow==12.0.0",
            "pydantic==2.12.4",
            "PyYAML==6.0.3",
        ),
        ("nvidia-pytriton==0.7.0",),
    ),
}

_UNREACHABLE = ("connection broken", "NewConnectionError", "NameResolutionError", "Max retries exceeded")


class Unreachable(Exception):
    """The package registry cannot be reached; the message is pip's."""


def interpreter(name: str) -> Path:
    """The Python of the environment `name`, one of ENVIRONMENTS; it is made at the first call, by one process at a
    time. Skips the test, saying why, without a registry; fails if pip does.
    """
    try:
        return _make(name)
    except Unreachable as error:
        import pytest

        pytest.skip(f"the package registry cannot be reached: {error}")


def _make(name: str) -> Path:
    contents = ENVIRONMENTS[name]
    given = os.environ.get("TRTKIT_TEST_CACHE")
    cache = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "trtkit-tests"
    listed = " ".join((*contents.packages, *contents.without_dependencies))
    digest = hashlib.sha256(listed.encode()).hexdigest()[:12]
    root = cache / f"{name}-{digest}-python{sys.version_info.major}.{sys.version_info.minor}"
    python, ready = root / "bin" / "python", root / ".ready"
    with alone(root):
        if not ready.is_file():
            venv.create(root, with_pip=True, clear=True)
            if contents.packages:
                _install(python, contents.packages)
            if contents.without_dependencies:
                _install(python, ["--no-deps", *contents.without_dependencies])
            ready.touch()
    return python


def _install(python: Path, arguments: Sequence[str]) -> None:
    command = [python, "-m", "pip", "install", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if any(sign in done.stderr for sign in _UNREACHABLE):
        raise Unreachable(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    for each in ENVIRONMENTS:
        _make(each)
