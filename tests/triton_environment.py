"""NVIDIA's own server and client, in an environment of their own: they want other versions than the project.

tritonserver is a real one, from the nvidia-pytriton wheel, with its Python backend and no other. It runs models in the
Python that comes first in PATH: that environment's, with this checkout's trtkit.
"""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import trtkit
from tests.foreign_environment import NUMPY_1, interpreter

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@functools.cache
def python() -> Path:
    """An interpreter with tritonclient and pytest; its environment is made at the first call (a minute)."""
    return interpreter("triton")


@contextmanager
def tritonserver(repository: Path, folder: Path) -> Iterator[str]:
    """A real tritonserver on `repository`; yields its address, HOST:PORT, once it is ready. `folder` is for its
    backend and log. Skips, saying why, where this machine cannot run it."""
    if not NUMPY_1:
        pytest.skip(f"tritonserver's Python backend needs NumPy 1, which has no wheel for Python {_VERSION}")
    wheel = next((python().parent.parent / "lib").glob("python*/site-packages/pytriton/tritonserver"))
    libraries = wheel.parent.parent / "nvidia_pytriton.libs"
    backend = folder / "backends" / "python"
    shutil.copytree(wheel / "backends" / "python", backend)
    stub = wheel / "python_backend_stubs" / _VERSION / "triton_python_backend_stub"
    if not stub.is_file():
        pytest.skip(f"the nvidia-pytriton wheel has no Python backend for Python {_VERSION}")
    shutil.copy(stub, backend)
    for program in (backend / stub.name, wheel / "bin" / "tritonserver"):
        program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{_python_of_models(folder)}{os.pathsep}{os.environ['PATH']}",
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, (libraries, sysconfig.get_config_var("LIBDIR")))),
    }
    _check_libraries(backend / stub.name, environment)
    http = _free_port()
    log = folder / "tritonserver.log"
    command = [wheel / "bin" / "tritonserver", f"--model-repository={repository}", f"--http-port={http}"]
    command += [f"--backend-directory={folder / 'backends'}", "--http-address=127.0.0.1", "--allow-grpc=false"]
    command += ["--allow-metrics=false", "--exit-timeout-secs=5"]
    with log.open("wb") as stream:
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(process, f"http://127.0.0.1:{http}/v2/health/ready", log)
        yield f"127.0.0.1:{http}"
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _python_of_models(folder: Path) -> Path:
    """bin of a Python with that environment's packages and this checkout; Triton's own takes no PYTHONPATH."""
    venv.create(folder / "python", with_pip=False)
    paths = [next((python().parent.parent / "lib").glob("python*/site-packages")), Path(trtkit.__file__).parent.parent]
    site = next((folder / "python" / "lib").glob("python*/site-packages"))
    (site / "paths.pth").write_text("".join(f"{path}\n" for path in paths))
    return folder / "python" / "bin"


def _check_libraries(program: Path, environment: dict[str, str]) -> None:
    """Skips, saying which, if the loader misses one: the stub wants the system's libpython."""
    done = subprocess.run(["ldd", program], env=environment, capture_output=True, text=True, check=False)
    missing = [line.strip() for line in done.stdout.splitlines() if "not found" in line]
    if missing:
        pytest.skip(f"tritonserver's Python backend cannot be loaded here: {missing[0]}")


def _wait_until_ready(process: subprocess.Popen, url: str, log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(log.read_text()[-4000:])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
