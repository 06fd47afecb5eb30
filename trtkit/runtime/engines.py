"""Which engine file of a network is for this GPU and this library, judged by its manifest before it is opened."""

from __future__ import annotations

from pathlib import Path

from trtkit import artifacts, manifest
from trtkit.build_engines.judge import judge_engine
from trtkit.build_engines.versions import installed_versions
from trtkit.errors import CheckFailed, TrtkitError
from trtkit.manifest import Manifest
from trtkit.runtime.left_over import left_over
from trtkit.runtime.machine import capability_of
from trtkit.runtime.request import Request

PRECISIONS = ("fp16", "int8", "fp32")
"""Best first: INT8 only where nobody built FP16, since it is the one that changes results most."""


def find(request: Request, builder: str) -> Path | str:
    """The engine to use, or why there is none, with the command that makes one."""
    capability = capability_of(request.ordinal)
    if capability is None:
        return "this machine shows no NVIDIA GPU"
    network = request.spec.name
    for precision in (request.precision,) if request.precision else PRECISIONS:
        path = artifacts.engine_path(request.root, request.model.folder, network, precision, capability, builder)
        if path.is_file():
            return path
    sm = artifacts.sm(capability)
    wanted = f" in {request.precision}" if request.precision else ""
    option = f" --precision {request.precision}" if request.precision else ""
    return (
        f"{request.root / request.model.folder} has no {builder} engine of {network} for {sm}{wanted} "
        f"(trtkit build {request.model.called} --gpu {sm} --builder {builder}{option})"
    )


def judge(path: Path, request: Request, library_version: str | None = None) -> Manifest:
    """The manifest of an engine that may be deserialized here; raises TrtkitError, saying why not, otherwise.

    `library_version`: what will load a version-compatible engine, which any later TensorRT may.
    """
    record = manifest.read_verified(path)
    reason = left_over(record, request)
    if reason is not None:
        sm = artifacts.sm(str(record.made_for.compute_capability))
        raise CheckFailed(
            f"{path} is {reason}; build it again: trtkit build {request.model.called} --gpu {sm} "
            f"--builder {record.made_with.tool} --precision {record.precision}"
        )
    judge_engine(record, capability_of(request.ordinal), versions_for(record, library_version))
    return record


def versions_for(record: Manifest, library_version: str | None) -> dict[str, str]:
    """The installed builders' versions, as far as `record`'s engine is concerned: a later `library_version` stands for
    the one that made a version-compatible engine."""
    versions = dict(installed_versions())
    built_with = record.made_with.version
    if version_compatible(record) and library_version and _key(library_version) >= _key(built_with):
        versions[record.made_with.tool] = built_with
    return versions


def version_compatible(record: Manifest) -> bool:
    """The engine carries the lean runtime it was built with."""
    return bool(record.made_with.flags.get("version_compatible"))


def refusal(request: Request, builder: str, library_version: str | None) -> str | None:
    """Why no engine of `builder` can run here, None if one can."""
    path = find(request, builder)
    if isinstance(path, str):
        return path
    try:
        judge(path, request, library_version)
    except TrtkitError as error:
        return str(error)
    return None


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
