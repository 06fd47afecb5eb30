"""The sidecar of every artifact: what it was made of, with what, for what, and what came out.

``FILE.json`` stands beside every ONNX file and engine trtkit makes. It is read and judged before anything is
deserialized, so that a stale or foreign artifact ends in one sentence with the command that mends it, not in
TensorRT's error text (NVIDIA/TensorRT#2195, #2105).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from trtkit.artifacts import DEFAULT_ROOT, at_root, folder_of, sm
from trtkit.errors import CheckFailed, Mistake, TrtkitError
from trtkit.files import reading, sha256, write_in_order

SCHEMA_VERSION = 1
PACKAGE = Path(__file__).parent


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WeightsRecord(_Part):
    """kind: 'embedded', 'official' or 'file'; sha256 of the weights file; note: e.g. 'untrained'."""

    kind: str
    sha256: str
    note: str = ""


class MadeOf(_Part):
    weights: WeightsRecord
    onnx_sha256: str | None = None
    """The ONNX this was derived from (typed FP16 or Q/DQ form, engine); None for an export's FP32 form."""
    calibration_sha256: str | None = None


class MadeWith(_Part):
    trtkit: str
    tool: str
    """'torch.onnx' for exports, 'trtkit' for typed forms, a builder's name for engines."""
    version: str
    flags: dict[str, Any] = {}


class MemoryPlan(_Part):
    """Bytes at the profile's maximum, read from the builder's own INFO lines."""

    activation_bytes: int
    weights_bytes: int


class MadeFor(_Part):
    compute_capability: str | None = None
    """'8.6'; None for ONNX, which runs anywhere."""
    profiles: list[dict[str, dict[str, list[int]]]] = []
    """A list of profiles, each {input: {min|opt|max: shape}}."""
    memory_plan: MemoryPlan | None = None


class PrecisionShare(_Part):
    """How many of the compute layers (Convolution, Deconvolution, MatrixMultiply) run in each precision."""

    compute_layers: int
    half: int
    int8: int
    source: Literal["network", "engine"]


class CameOut(_Part):
    sha256: str
    size: int
    precision_share: PrecisionShare | None = None
    checks: dict[str, Any] = {}
    """Figures of the checks this artifact passed, e.g. the export check's worst grey-level difference."""


class Manifest(_Part):
    schema_version: Literal[1] = 1
    kind: Literal["onnx", "engine"]
    model: str
    network: str
    style: str | None = None
    """The set of weights among those a model has (DCT-Net's 'anime'); None for the model's own."""
    precision: str
    made_of: MadeOf
    made_with: MadeWith
    made_for: MadeFor = MadeFor()
    came_out: CameOut
    build_key: str
    executed: str = "no"
    """'no' until a machine has run the artifact; then which device did."""


def path_of(artifact: Path) -> Path:
    """FILE.json beside FILE."""
    return artifact.with_name(artifact.name + ".json")


def publish(artifact: Path, content: bytes, manifest: Manifest) -> None:
    """Write the artifact and its manifest, each whole or not at all.

    A kill between their two names leaves an artifact whose manifest is missing or has another hash: both are found.
    """
    write_in_order(files_of(artifact, content, manifest))


def files_of(artifact: Path, content: bytes, manifest: Manifest) -> list[tuple[Path, bytes]]:
    """The two files of an artifact, in the order in which they are to get their names."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
    return [(artifact, content), (path_of(artifact), text.encode())]


def read(artifact: Path) -> Manifest:
    """The manifest of `artifact`. Raises Mistake if either file is missing or cannot be read, CheckFailed if it is
    damaged."""
    with reading(artifact):
        return _read(artifact)


def _read(artifact: Path) -> Manifest:
    if artifact.is_dir():
        raise Mistake(f"{artifact} is a folder; name an ONNX file or an engine in it")
    if not artifact.is_file():
        raise Mistake(f"{artifact} does not exist; name an artifact that 'trtkit export' or 'trtkit build' made")
    sidecar = path_of(artifact)
    if artifact.suffix not in (".onnx", ".engine"):
        raise Mistake(f"{artifact} is neither an ONNX file nor an engine; name one that trtkit made")
    if not sidecar.is_file():
        raise Mistake(f"{artifact} has no manifest ({sidecar.name} is missing beside it); {_mending_by_name(artifact)}")
    try:
        raw = json.loads(sidecar.read_bytes())
    except ValueError as error:
        raise CheckFailed(f"{sidecar} is not whole JSON ({error}); make the artifact again with --force") from error
    found = raw.get("schema_version") if isinstance(raw, dict) else None
    if found != SCHEMA_VERSION:
        raise CheckFailed(
            f"{sidecar} has schema version {found!r}, this trtkit reads {SCHEMA_VERSION}; make the artifact again"
        )
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise CheckFailed(f"{sidecar}: key '{key}': {first['msg']}; make the artifact again with --force") from error


def flags_of(artifact: Path) -> dict[str, Any]:
    """The flags in the manifest of `artifact`; none where there is no manifest that can be read."""
    try:
        return read(artifact).made_with.flags
    except TrtkitError:
        return {}


def check_content(artifact: Path, manifest: Manifest) -> None:
    """Compare size and sha256 with the manifest. Raises CheckFailed naming what differs, Mistake if it is no file."""
    with reading(artifact):
        size, digest = artifact.stat().st_size, sha256(artifact)
    if size != manifest.came_out.size:
        kind = "cut short" if size < manifest.came_out.size else "longer than it was"
        raise CheckFailed(
            f"{artifact} is {kind}: {size:,} bytes, its manifest says {manifest.came_out.size:,}; "
            f"{mending_command(manifest, artifact)}"
        )
    if digest != manifest.came_out.sha256:
        raise CheckFailed(
            f"{artifact} is not the file its manifest describes (the sha256 differs: damaged or swapped); "
            f"{mending_command(manifest, artifact)}"
        )


def read_verified(artifact: Path) -> Manifest:
    """Manifest of an artifact whose content has been compared with it: what every loader calls first."""
    manifest = read(artifact)
    check_content(artifact, manifest)
    return manifest


def _mending_by_name(artifact: Path) -> str:
    """What `mending_command` says, where its place and name are all that tells what it is."""
    from trtkit import models

    model, _, style = artifact.parent.name.partition("-")
    precision = artifact.name.removesuffix(".onnx").rpartition(".")[2]
    network = artifact.name.removesuffix(f".{precision}.onnx")
    its_own = model in models.NAMES and network in [one.name for one in models.get(model).networks]
    if not its_own or precision not in ("fp32", "fp16") or artifact.is_relative_to(PACKAGE):
        return "make it again with trtkit"
    words = ["export", model, *(["--style", style] if style else []), "--precision", precision, "--force"]
    words += ["--weights", "WEIGHTS"]  # which they were, nothing tells; without them it would be made of others
    return f"make it again with: trtkit {' '.join(words)}{at_root(artifact.parent.parent)}"


def root_of(manifest: Manifest, artifact: Path) -> Path:
    """The folder of artifacts that it lies in; the default where it was taken out of one."""
    folder = folder_of(manifest.model, manifest.style)
    return artifact.parent.parent if artifact.parent.name == folder else DEFAULT_ROOT


def mending_command(manifest: Manifest, artifact: Path) -> str:
    """'make it again with: trtkit …' for this artifact, into the folder of artifacts that it lies in."""
    if artifact.is_relative_to(PACKAGE):
        return "it comes with trtkit, so install trtkit again"
    root = root_of(manifest, artifact)
    words = [manifest.model]
    if manifest.style:
        words += ["--style", manifest.style]
    if manifest.kind == "engine":
        words = ["build", *words, "--gpu", sm(manifest.made_for.compute_capability or "")]
        words += ["--builder", manifest.made_with.tool, "--precision", manifest.precision, "--force"]
    elif manifest.precision == "int8":  # no export makes it; calibrate finds by itself that it has to be made again
        drawn = manifest.made_with.flags.get("image_source") == "drawn"
        words = ["calibrate", *words, *([] if drawn else ["--images", "DIR"])]
        words += ["--method", manifest.made_with.flags["method"]] if "method" in manifest.made_with.flags else []
    else:
        words = ["export", *words, "--precision", manifest.precision, "--force"]
        kind = manifest.made_of.weights.kind
        words += ["--weights", "CHECKPOINT" if kind == "file" else kind]  # without them it would be made of others
    return f"make it again with: trtkit {' '.join(words)}{at_root(root)}"
