"""Where artifacts lie: ARTIFACTS/FOLDER/NETWORK.PRECISION[.smCC.BUILDER].{onnx,engine}.

FOLDER is MODEL, or MODEL-STYLE for one of the other sets of weights a model has.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from trtkit.errors import Mistake

DEFAULT_ROOT = Path("artifacts")


def existing(root: Path, weights: str | None = None) -> Path:
    """`root` (--artifacts). Raises Mistake where one that was named is not there, and no `weights` are asked for: those
    in the package, which are used where nothing was exported, would be others than the user thinks."""
    if root.exists() and not root.is_dir():
        raise Mistake(f"--artifacts {root} is a file; name the folder that export and build wrote to")
    if weights is None and root != DEFAULT_ROOT and not root.exists():
        raise Mistake(f"--artifacts {root} does not exist; name the folder that export and build wrote to")
    return root


def folder_of(model: str, style: str | None) -> str:
    """'dct_net', or 'dct_net-anime'."""
    return f"{model}-{style}" if style else model


def at_root(root: Path, option: str = "--out") -> str:
    """What a command needs at its end to work on `root`, for a shell; empty for the default, which needs no word."""
    return "" if root == DEFAULT_ROOT else f" {option} {shlex.quote(str(root))}"


def sm(compute_capability: str) -> str:
    """'8.6' → 'sm86', '12.0' → 'sm120'."""
    return "sm" + compute_capability.replace(".", "")


def onnx_path(root: Path, folder: str, network: str, precision: str) -> Path:
    return root / folder / f"{network}.{precision}.onnx"


def engine_path(root: Path, folder: str, network: str, precision: str, capability: str, builder: str) -> Path:
    """One file per compute capability, not per card: L4 and RTX 4090 are both sm89."""
    return root / folder / f"{network}.{precision}.{sm(capability)}.{builder}.engine"
