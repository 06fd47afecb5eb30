"""Optional libraries, imported in one place, when they are needed and not before.

The habit is Polygraphy's lazy import: every module of trtkit imports with none of the extras installed
(a test proves it), and a missing library ends in a sentence that names the extra.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from trtkit.errors import MissingComponent

EXTRA_OF = {
    "torch": "export",
    "onnxscript": "export",
    "safetensors": "export",
    "tensorboardX": "export",
    "google": "export",
    "scipy": "hrn",
    "trimesh": "hrn",
    "modelscope_hub": "hub",
    "onnxruntime": "cpu",
    "tensorrt_rtx": "rtx",
    "tensorrt_rtx_bindings": "rtx",
    "tensorrt": "tensorrt",
    "tensorrt_lean": "tensorrt",
    "pycuda": "cuda",
    "cuda": "cuda",
    "starlette": "serve",
    "uvicorn": "serve",
    "httptools": "serve",
    "python_multipart": "serve",
    "prometheus_client": "serve",
}
"""Module name → the extra of pyproject.toml that installs it."""

PACKAGE_OF = {"skimage": "scikit-image"}
"""Module name → its own package, where an extra would bring much else: torch, for a few photographs."""


def installed(module: str) -> bool:
    """True if `module` (top-level name) can be found; it is not imported."""
    return importlib.util.find_spec(module) is not None


def need(module: str, purpose: str) -> ModuleType:
    """Import `module`, or raise MissingComponent naming what needs it and the extra that installs it."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # the latter for a shared library of its own that is missing
        top = module.partition(".")[0]
        mend = PACKAGE_OF.get(top) or f"'trtkit[{EXTRA_OF[top]}]'"
        found = f" (it is installed but does not import: {error})" if installed(top) else ""
        raise MissingComponent(
            f"{purpose} needs the Python package '{top}'{found}; install it with: pip install {mend}"
        ) from error
