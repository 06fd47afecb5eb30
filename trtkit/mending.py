"""The command that makes an artifact again, for the end of a sentence that says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtkit.artifacts import DEFAULT_ROOT, at_root, folder_of, sm

if TYPE_CHECKING:
    from trtkit.manifest import Manifest

PACKAGE = Path(__file__).parent
_NAME = re.compile(
    r"(?P<network>[^.]+)\.(?P<precision>fp32|fp16|int8)(\.(?P<sm>sm\d+)\.(?P<builder>[\w-]+)\.engine|\.onnx)"
)


def root_of(manifest: Manifest, artifact: Path) -> Path:
    """The folder of artifacts that it lies in; the default where it was taken out of one."""
    folder = folder_of(manifest.model, manifest.style)
    return artifact.parent.parent if artifact.parent.name == folder else DEFAULT_ROOT


def mending_command(manifest: Manifest, artifact: Path) -> str:
    """'make it again with: trtkit …' for this artifact, into the folder of artifacts that it lies in."""
    if artifact.is_relative_to(PACKAGE):
        return "it comes with trtkit, so install trtkit again"
    words = [manifest.model, *_style(manifest.style)]
    flags = manifest.made_with.flags
    if manifest.kind == "engine":
        words = _build(
            words, sm(manifest.made_for.compute_capability or ""), manifest.made_with.tool, manifest.precision
        )
        words += ["--version-compatible"] if flags.get("version_compatible") else []
        words += ["--accept-loss"] if manifest.precision == "int8" and _lossy(manifest.came_out.checks) else []
    elif manifest.precision == "int8":
        method = flags.get("method")
        words = _calibrate(words, flags.get("image_source") == "drawn")
        words += ["--method", method] if isinstance(method, str) else []
    else:
        # Without --weights it would be made of others.
        kind = manifest.made_of.weights.kind
        words = _export(words, manifest.precision, "CHECKPOINT" if kind == "file" else kind)
    return _sentence(words, root_of(manifest, artifact))


def mending_by_name(artifact: Path) -> str:
    """What `mending_command` says, where its place and name are all that tells what it is."""
    from trtkit import models

    if artifact.is_relative_to(PACKAGE):
        return "it comes with trtkit, so install trtkit again"
    model, _, style = artifact.parent.name.partition("-")
    named = _NAME.fullmatch(artifact.name)
    known = [one.name for one in models.get(model).networks] if model in models.NAMES else []
    if named is None or named["network"] not in known:
        return "make it again with trtkit"
    words = [model, *_style(style)]
    if named["builder"]:
        words = _build(words, named["sm"], named["builder"], named["precision"])
    elif named["precision"] == "int8":
        words = _calibrate(words, drawn=False)
    else:
        words = _export(words, named["precision"], "WEIGHTS")  # which they were, nothing tells
    return _sentence(words, artifact.parent.parent)


def _style(style: str | None) -> list[str]:
    return ["--style", style] if style else []


def _build(words: list[str], capability: str, builder: str, precision: str) -> list[str]:
    return ["build", *words, "--gpu", capability, "--builder", builder, "--precision", precision, "--force"]


def _calibrate(words: list[str], drawn: bool) -> list[str]:
    # No export makes it, and calibrate finds by itself that it has to be made again.
    return ["calibrate", *words, *([] if drawn else ["--images", "DIR"])]


def _export(words: list[str], precision: str, weights: str) -> list[str]:
    return ["export", *words, "--precision", precision, "--force", "--weights", weights]


def _sentence(words: list[str], root: Path) -> str:
    return f"make it again with: trtkit {' '.join(words)}{at_root(root)}"


def _lossy(checks: Mapping[str, Any]) -> bool:
    """Whether an INT8 engine was built past the tolerance of its day, as far as its ONNX file's own check tells."""
    figures, tolerance = checks.get("against_fp32"), checks.get("tolerance")
    if not isinstance(figures, dict) or not isinstance(tolerance, dict):
        return False
    numbers = {name: value for name, value in figures.items() if isinstance(value, int | float)}
    if "mae_percent" in numbers:
        numbers["mae"] = numbers["mae_percent"] / 100  # of networks of numbers the tolerance is a share
    for name, bound in tolerance.items():
        if name in numbers and isinstance(bound, int | float):
            least = name == "psnr"
            if numbers[name] < bound if least else numbers[name] > bound:
                return True
    return False
