"""Which engine file of a network is for this GPU and this library, judged by its manifest before it is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trtkit import artifacts, manifest
from trtkit.build_engines.judge import judge_engine
from trtkit.build_engines.versions import installed_versions
from trtkit.calib import measured
from trtkit.errors import CheckFailed, TrtkitError
from trtkit.manifest import Manifest
from trtkit.runtime.left_over import left_over
from trtkit.runtime.machine import capability_of
from trtkit.runtime.request import Request

PRECISIONS = ("fp16", "int8", "fp32")
"""Best first: INT8 only where nobody built FP16 or where it was measured as the better, since it is the one that
changes results most."""


@dataclass(frozen=True)
class Found:
    """`why`: for people, what spoke for this engine where FP16 and INT8 lie side by side."""

    path: Path
    why: str = ""


def find(request: Request, builder: str, library_version: str | None = None) -> Found | str:
    """The engine to use, or why there is none, with the command that makes one; `library_version` as for `judge`."""
    capability = capability_of(request.ordinal)
    if capability is None:
        return "this machine shows no NVIDIA GPU"
    network = request.spec.name
    paths: dict[str, Path] = {}
    for precision in (request.precision,) if request.precision else PRECISIONS:
        path = artifacts.engine_path(request.root, request.model.folder, network, precision, capability, builder)
        if path.is_file():
            paths[precision] = path
    if {"fp16", "int8"} <= paths.keys():
        return _better(paths["fp16"], paths["int8"], request, (builder, capability), library_version)
    if paths:
        return Found(next(iter(paths.values())))
    sm = artifacts.sm(capability)
    wanted = f" in {request.precision}" if request.precision else ""
    option = f" --precision {request.precision}" if request.precision else ""
    return (
        f"{request.root / request.model.folder} has no {builder} engine of {network} for {sm}{wanted} "
        f"(trtkit build {request.model.called} --gpu {sm} --builder {builder}{option}{artifacts.at_root(request.root)})"
    )


def _better(fp16: Path, int8: Path, request: Request, where: tuple[str, str], library_version: str | None) -> Found:
    """INT8 where `build --precision auto` would choose it for the very forms that these engines were built from, and
    where it can be loaded, else FP16."""
    try:
        record = manifest.read(int8)
        found = _verdict(manifest.read(fp16), record, request, where)
        if found.precision == "int8":
            _check_fits(int8, record, request, library_version)
            manifest.check_content(int8, record)
            return Found(int8, f"{request.spec.name} in INT8, which {found.why}")
    except TrtkitError as error:  # of INT8, or of FP16, which is then told when that file is opened
        return Found(fp16, f"{request.spec.name} in FP16, not INT8: {error}")
    return Found(fp16, f"{request.spec.name} in FP16, not INT8: {found.why}")


def _verdict(fp16: Manifest, int8: Manifest, request: Request, where: tuple[str, str]) -> measured.Verdict:
    model, spec = request.model, request.spec
    settings = request.config.network(model.name, spec.name)
    if "int8" not in settings.precisions:
        return measured.Verdict("fp16", "engines.yaml states no INT8 for it")
    path = measured.path_of(request.root, model.folder, spec.name)
    onnx = {"fp16": fp16.made_of.onnx_sha256 or "", "int8": int8.made_of.onnx_sha256 or ""}
    found = measured.verdict(path, where, onnx, settings, spec)
    if found is not None:
        return found
    command = measured.command(model.called, where[0], request.root)
    return measured.Verdict("fp16", f"these two engines were not measured side by side; do that with: {command}")


def judge(path: Path, request: Request, library_version: str | None = None) -> Manifest:
    """The manifest of an engine that may be deserialized here; raises TrtkitError, saying why not, otherwise.

    `library_version`: what will load a version-compatible engine, which any later TensorRT may.
    """
    record = manifest.read_verified(path)
    _check_fits(path, record, request, library_version)
    return record


def _check_fits(path: Path, record: Manifest, request: Request, library_version: str | None) -> None:
    reason = left_over(record, request)
    if reason is not None:
        sm = artifacts.sm(str(record.made_for.compute_capability))
        raise CheckFailed(
            f"{path} is {reason}; build it again: trtkit build {request.model.called} --gpu {sm} "
            f"--builder {record.made_with.tool} --precision {record.precision}{artifacts.at_root(request.root)}"
        )
    judge_engine(record, capability_of(request.ordinal), versions_for(record, library_version), request.root)


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
    found = find(request, builder, library_version)
    if isinstance(found, str):
        return found
    try:
        judge(found.path, request, library_version)
    except TrtkitError as error:
        return str(error)
    return None


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
