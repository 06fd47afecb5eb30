"""Whether an engine can run here, decided from its manifest before anything is deserialized.

TensorRT's own words come late and do not say what to do (NVIDIA/TensorRT#2195, #2105, onnx/onnx-tensorrt#421).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from trtkit.artifacts import DEFAULT_ROOT, at_root, sm
from trtkit.errors import CheckFailed, Mistake
from trtkit.manifest import Manifest


def judge_engine(
    manifest: Manifest, capability: str | None, versions: Mapping[str, str], root: Path = DEFAULT_ROOT
) -> None:
    """Compare an engine's manifest with this machine.

    `capability` is the GPU's, e.g. '8.6', None without a GPU; `versions` maps each installed builder's name to
    its version; `root` is the folder of artifacts that the engine lies in. TensorRT loads a plan only in the very
    version that made it. Raises CheckFailed, with the command that mends it, on a mismatch, and Mistake if the
    manifest is not an engine's.
    """
    wanted, maker, version = manifest.made_for.compute_capability, manifest.made_with.tool, manifest.made_with.version
    if manifest.kind != "engine" or wanted is None:
        raise Mistake(
            f"the manifest of {manifest.model}/{manifest.network} is of kind '{manifest.kind}', not an engine's"
        )
    installed = versions.get(maker)
    if (capability, installed) == (wanted, version):
        return
    gpu = f"has {sm(capability)}" if capability else "has no NVIDIA GPU"
    library = f"{maker} {installed}" if installed else f"no {maker}"
    raise CheckFailed(
        f"{manifest.model}/{manifest.network} was built for {sm(wanted)} with {maker} {version}; "
        f"this machine {gpu} and {library} - {_mending(manifest, capability, installed, root)}"
    )


def _mending(manifest: Manifest, capability: str | None, installed: str | None, root: Path) -> str:
    wanted, maker = manifest.made_for.compute_capability, manifest.made_with.tool
    if capability is None:
        return "use --backend cpu here, or run the engine on a machine with that GPU"
    if installed is None and capability == wanted:
        extra = {"tensorrt-rtx": "rtx"}.get(maker, maker)
        return f"run: pip install 'trtkit[{extra}]'"
    name = f"{manifest.model} --style {manifest.style}" if manifest.style else manifest.model
    # Another builder's engine is another file, which mends none; but for another GPU the maker may have nothing.
    builder = f" --builder {maker}" if capability == wanted else ""
    kept = " --version-compatible" if manifest.made_with.flags.get("version_compatible") and builder else ""
    precision = f"--precision {manifest.precision}{kept}"
    return f"run: trtkit build {name} --gpu {sm(capability)}{builder} {precision}{at_root(root)}"
