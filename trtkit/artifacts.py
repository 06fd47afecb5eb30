"""Where artifacts lie: ARTIFACTS/MODEL/NETWORK.PRECISION[.smCC.BUILDER].{onnx,engine}."""

from __future__ import annotations

from pathlib import Path

DEFAULT_ROOT = Path("artifacts")


def sm(compute_capability: str) -> str:
    """'8.6' → 'sm86', '12.0' → 'sm120'."""
    return "sm" + compute_capability.replace(".", "")


def onnx_path(root: Path, model: str, network: str, precision: str) -> Path:
    return root / model / f"{network}.{precision}.onnx"


def engine_path(root: Path, model: str, network: str, precision: str, capability: str, builder: str) -> Path:
    """One file per compute capability, not per card: L4 and RTX 4090 are both sm89."""
    return root / model / f"{network}.{precision}.{sm(capability)}.{builder}.engine"
