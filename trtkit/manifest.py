"""The sidecar of every artifact: what it was made of, with what, for what, and what came out.

``FILE.json`` stands beside every ONNX file and engine trtkit makes. It is read and judged before anything is
deserialized, so that a stale or foreign artifact ends in one sentence with the command that mends it, not in
TensorRT's error text (NVIDIA/TensorRT#2195, #2105).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from trtkit.errors import CheckFailed, Mistake, TrtkitError
from trtkit.files import reading, sha256, write_in_order
from trtkit.invalid import first_problem
from trtkit.manifest_parts import problem
from trtkit.mending import mending_by_name, mending_command

SCHEMA_VERSION = 1
SUFFIXES = (".onnx", ".engine")
"""What an artifact is called."""


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


KEPT = "kept"
"""Among an ONNX form's flags: how many layers it leaves in a higher precision on purpose."""


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
    if artifact.suffix not in SUFFIXES:
        raise Mistake(f"{artifact} is neither an ONNX file nor an engine; name one that trtkit made")
    if not sidecar.is_file():
        raise Mistake(f"{artifact} has no manifest ({sidecar.name} is missing beside it); {mending_by_name(artifact)}")
    return read_sidecar(artifact)


def read_sidecar(artifact: Path) -> Manifest:
    """The manifest beside `artifact`, which need not be there itself. Raises Mistake if it cannot be read, CheckFailed,
    with the command that makes both again, if it is damaged."""
    sidecar = path_of(artifact)
    with reading(sidecar):
        content = sidecar.read_bytes()
    try:
        raw = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CheckFailed(f"{sidecar} is not whole JSON ({error}); {mending_by_name(artifact)}") from error
    found = raw.get("schema_version") if isinstance(raw, dict) else None
    if found != SCHEMA_VERSION:
        raise CheckFailed(
            f"{sidecar} has schema version {found!r}, this trtkit reads {SCHEMA_VERSION}; {mending_by_name(artifact)}"
        )
    try:
        manifest = Manifest.model_validate(raw)
    except ValidationError as error:
        raise CheckFailed(f"{sidecar}: {first_problem(error)}; {mending_by_name(artifact)}") from error
    flags, profiles, checks = manifest.made_with.flags, manifest.made_for.profiles, manifest.came_out.checks
    wrong = problem(manifest.kind, manifest.precision, flags, profiles, checks)
    if wrong is not None:
        raise CheckFailed(f"{sidecar}: {wrong}; {mending_command(manifest, artifact)}")
    return manifest


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


def content_of(artifact: Path, manifest: Manifest) -> bytes:
    """The bytes that `manifest` describes, whatever another process writes under that name meanwhile.

    Raises CheckFailed where others lie there, Mistake if it is no file.
    """
    with reading(artifact):
        content = artifact.read_bytes()
    if hashlib.sha256(content).hexdigest() != manifest.came_out.sha256:
        raise CheckFailed(
            f"{artifact} was written anew while this command used it; run it again once nothing else writes that file"
        )
    return content
