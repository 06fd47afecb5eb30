"""The real Python bindings of TensorRT, importable without TensorRT.

The wheel holds the classes and enums; the native libraries it links to are replaced by stubs that export the
symbols it asks for. Nothing can be built with them, but every name and signature is the real one.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from trtkit.file_lock import alone

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("TRTKIT_TEST_CACHE", REPOSITORY / ".cache")) / "tensorrt-bindings"
UNREACHABLE = re.compile(r"connection|Retrying|timed out|Name or service|resolution", re.IGNORECASE)


def bindings_path(version: str, module: str = "tensorrt_bindings") -> dict[str, str]:
    """Environment in which `import MODULE` gives the bindings of `version`; skips without a registry.

    `module` is tensorrt_bindings, or tensorrt_lean_bindings for the lean runtime.
    """
    for tool in ("gcc", "nm", "readelf"):
        if shutil.which(tool) is None:
            pytest.skip(f"stubs for TensorRT's libraries need {tool}")
    package = CACHE / (version if module == "tensorrt_bindings" else f"{module}-{version}")
    with alone(package):
        if not (package / "stubs").is_dir():
            _prepare(version, package, module)
    return {"PYTHONPATH": str(package), "LD_LIBRARY_PATH": str(package / "stubs")}


def _prepare(version: str, package: Path, module: str) -> None:
    working = CACHE / f"{package.name}.{os.getpid()}"
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    with zipfile.ZipFile(_download(version, working, module)) as wheel:
        wheel.extractall(working)
    _compile_stubs(next(working.glob(f"{module}/tensorrt*.so")), working / "stubs")
    shutil.rmtree(package, ignore_errors=True)
    working.rename(package)


def _download(version: str, folder: Path, module: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
    wheel = module.replace("_bindings", "_cu13_bindings")
    done = subprocess.run([*command, f"{wheel}=={version}"], capture_output=True, text=True, check=False)
    if done.returncode != 0 and UNREACHABLE.search(done.stderr):
        pytest.skip(f"the bindings of TensorRT {version} cannot be fetched: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def _compile_stubs(library: Path, folder: Path) -> None:
    folder.mkdir()
    symbols = subprocess.run(["nm", "-D", "--undefined-only", str(library)], capture_output=True, text=True, check=True)
    # Versioned names (name@GLIBC_2.2) come from the system; the rest of Python's and libc's are in this process.
    names = [name for line in symbols.stdout.splitlines() if "@" not in (name := line.split()[-1])]
    here = ctypes.CDLL(None)
    missing = [name for name in names if not name.startswith("_") and not hasattr(here, name)]
    (folder / "stub.c").write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in missing))
    dynamic = subprocess.run(["readelf", "-d", str(library)], capture_output=True, text=True, check=True).stdout
    for needed in re.findall(r"\[(libnv[^\]]+)\]", dynamic):
        subprocess.run(
            ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{needed}", "-o", str(folder / needed), str(folder / "stub.c")],
            check=True,
        )
