"""Which builder is installed, and in what version, without importing it: an import takes seconds."""

from __future__ import annotations

import importlib.metadata

DISTRIBUTIONS = {
    "tensorrt-rtx": (
        "tensorrt_rtx_cu13_bindings",
        "tensorrt_rtx_cu12_bindings",
        "tensorrt_rtx_bindings",
        "tensorrt_rtx",
    ),
    "tensorrt": ("tensorrt", "tensorrt_cu13", "tensorrt_cu12", "tensorrt_cu13_bindings", "tensorrt_cu12_bindings"),
}
"""Builder → the distributions that may carry its Python module, the one that holds it first."""


def installed_version(builder: str) -> str | None:
    """'1.7.1.116', or None if none of the builder's distributions is installed."""
    for distribution in DISTRIBUTIONS[builder]:
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def installed_versions() -> dict[str, str]:
    """Builder → version, for the builders that are installed."""
    return {name: version for name in DISTRIBUTIONS if (version := installed_version(name)) is not None}
