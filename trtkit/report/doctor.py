"""`trtkit doctor`: what is here, what works, and the command that mends what does not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from trtkit import __version__
from trtkit import config as configuration
from trtkit.build_engines.versions import installed_version
from trtkit.gpus import NO_DEVICE, cuda_version, driver_version, init_error, local_capabilities, local_names
from trtkit.report.console import console, table
from trtkit.runtime.select import GPU_BACKENDS

_PACKAGES = {
    "numpy": "arrays",
    "onnx": "reads and writes networks",
    "opencv-python-headless": "decodes, resizes and composes pictures",
    "isal": "writes PNG files",
    "pillow": "reads pictures of every kind",
    "onnxruntime": "runs networks on the CPU; onnxruntime-gpu does so, too",
    "onnxruntime-gpu": "runs networks on an NVIDIA GPU, in the place of onnxruntime",
    "pycuda": "memory and streams of an NVIDIA GPU",
    "cuda-bindings": "CUDA graphs and fused kernels on an NVIDIA GPU",
}
"""Package → what it is for."""
_OF_EXTRAS = {
    "torch": ("export", "networks are exported from checkpoints by it"),
    "scipy": ("hrn", "reads the official face model"),
    "trimesh": ("hrn", "writes face meshes as GLB"),
    "modelscope-hub": ("hub", "pulls official snapshots"),
    "starlette": ("serve", "the server is made of it"),
}
"""Package → the extra that brings it, and what it is for."""


_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Finding:
    """One row: `state` is 'ok', 'absent' (fine until it is wanted) or 'broken'; `mend` is a command."""

    subject: str
    state: str
    detail: str
    mend: str = ""


def show(config: Path | None) -> int:
    """Print every finding. Returns 3 if something is broken, else 0."""
    settings = configuration.load(config)
    found = [*_system(), *_packages(), *_builders(), *_gpus(settings), *_backends()]
    printer = console()
    shown = table("", "state", "what was found", "mend with")
    for item in found:
        shown.add_row(item.subject, item.state, item.detail, item.mend)
    printer.print(shown)
    broken = [item.subject for item in found if item.state == "broken"]
    printer.print()
    printer.print(
        f"broken: {', '.join(broken)}" if broken else "nothing is broken; what is absent can wait until you want it"
    )
    return 3 if broken else 0


def _system() -> list[Finding]:
    python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return [Finding("trtkit", "ok", f"{__version__}, {python}, in {sys.prefix}")]


def _packages() -> list[Finding]:
    found = [
        Finding(name, "ok" if version else "absent", version or purpose)
        for name, purpose in _PACKAGES.items()
        for version in [_version(name)]
    ]
    for name, (extra, purpose) in _OF_EXTRAS.items():
        version = _version(name)
        mend = "" if version else f"pip install 'trtkit[{extra}]'"
        found.append(Finding(name, "ok" if version else "absent", version or purpose, mend))
    return found + conflicts(_version("onnxruntime"), _version("onnxruntime-gpu"))


def conflicts(plain: str | None, gpu: str | None) -> list[Finding]:
    """onnxruntime and onnxruntime-gpu overwrite each other's files: with both, the CUDA provider vanishes."""
    if not (plain and gpu):
        return []
    detail = f"onnxruntime {plain} and onnxruntime-gpu {gpu} are both installed and share their files"
    keep = "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'trtkit[cuda]'  # or 'trtkit[cpu]'"
    return [Finding("onnxruntime", "broken", detail, keep)]


def _builders() -> list[Finding]:
    found = []
    for name, extra, where in (
        ("tensorrt-rtx", "rtx", "builds engines for compute capability 7.5, 8.0, 8.6, 8.9 and 12.0 without a GPU"),
        ("tensorrt", "tensorrt", "builds engines on the very GPU that they are for"),
    ):
        version = installed_version(name)
        detail = f"{version}; {where}" if version else where
        mend = "" if version else f"pip install 'trtkit[{extra}]'"
        found.append(Finding(f"builder {name}", "ok" if version else "absent", detail, mend))
    return found


def _gpus(settings: configuration.Config) -> list[Finding]:
    capabilities = local_capabilities()
    if not capabilities:
        return [_no_gpu(_nvidia_smi(), init_error(), os.environ.get(_VISIBLE))]
    visible = f"; {_VISIBLE}={os.environ[_VISIBLE]}" if _VISIBLE in os.environ else ""
    found = [Finding("driver", "ok", f"{driver_version()}, runs CUDA up to {cuda_version()}{visible}")]
    # nvidia-smi's list would not do: it has every card, in another order than CUDA's.
    for number, (capability, (card, size)) in enumerate(zip(capabilities, local_names(), strict=True)):
        known = [name for name, gpu in settings.gpus.items() if gpu.compute_capability == capability]
        named = f"as --gpu {' or '.join(known)}" if known else "not a GPU of engines.yaml"
        detail = f"{card}, compute capability {capability}, {size >> 20} MiB; {named}"
        found.append(Finding(f"GPU {number}", "ok", detail))
    return found


def _no_gpu(cards: list[str], error: int | None, visible: str | None) -> Finding:
    """Why CUDA shows no GPU: of nvidia-smi's `cards`, if it has any. `error`: init_error's; `visible`: what
    CUDA_VISIBLE_DEVICES is set to."""
    if error is None and not cards:
        return Finding("GPU", "absent", "no NVIDIA GPU or driver is visible; networks run on the CPU")
    if error is None:
        cause, mend = "the CUDA driver library (libcuda) is not found", "install the driver's libcuda"
    else:
        cause = f"cuInit failed ({error})" if error else "the CUDA driver counts none"
        mend = "restart the machine"
    mend += ", or start the container with --gpus all"
    if visible is not None:
        cause += f"; {_VISIBLE} is set to '{visible}'"
        mend = f"unset {_VISIBLE}" if error == NO_DEVICE else mend
    if not cards:
        return Finding("GPU", "absent", f"no NVIDIA GPU is visible: {cause}; networks run on the CPU")
    # Whoever sets it to nothing wants no GPU.
    hidden = error == NO_DEVICE and visible is not None and visible.strip() in ("", "-1")
    return Finding("GPU", "absent" if hidden else "broken", f"nvidia-smi sees {'; '.join(cards)}, but {cause}", mend)


def _nvidia_smi() -> list[str]:
    """'NVIDIA A10, compute capability 8.6, 23028 MiB, driver 580.95' for each GPU; empty without nvidia-smi."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = "--query-gpu=name,compute_cap,memory.total,driver_version"
    try:
        answer = subprocess.run(
            [tool, query, "--format=csv,noheader"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    described = []
    for line in answer.stdout.splitlines():
        name, capability, memory, driver = (part.strip() for part in line.split(","))
        described.append(f"{name}, compute capability {capability}, {memory}, driver {driver}")
    return described


def _backends() -> list[Finding]:
    runtime = _version("onnxruntime") or _version("onnxruntime-gpu")
    mend = "" if runtime else "pip install 'trtkit[cpu]'"
    detail = f"ONNX Runtime {runtime}" if runtime else "ONNX Runtime is not installed"
    return [*map(_gpu_backend, GPU_BACKENDS), Finding("backend cpu", "ok" if runtime else "absent", detail, mend)]


def _gpu_backend(name: str) -> Finding:
    """Whether GPU backend `name` could run an engine or ONNX file on GPU 0."""
    reason = GPU_BACKENDS[name].unusable(0)
    if reason is None:
        return Finding(f"backend {name}", "ok", "runs on GPU 0")
    detail, _, mend = reason.removesuffix(")").rpartition(" (") if reason.endswith(")") else (reason, "", "")
    return Finding(f"backend {name}", "absent", detail, mend)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
