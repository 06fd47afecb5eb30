"""`trtkit inspect` and `trtkit verify`: what an artifact is, and whether it still is that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trtkit import manifest
from trtkit.artifacts import sm
from trtkit.build_engines.judge import judge_engine
from trtkit.errors import Mistake, TrtkitError
from trtkit.export import unfinished
from trtkit.gpus import local_capabilities
from trtkit.manifest import Manifest
from trtkit.mending import root_of
from trtkit.models.imported import chain_file
from trtkit.models.imported.plan import BranchStep, CropStep, HostStep, NetworkStep, Step
from trtkit.report.artifacts_in import find_artifacts
from trtkit.report.console import console, table
from trtkit.runtime import tensorrt
from trtkit.runtime.engines import versions_for

_RANGE = ("min", "opt", "max")


def show(file: Path) -> None:
    """Print what `file` is, from what, for what. Raises if its manifest is missing or its content differs."""
    facts = _chain_facts(file) if file.name.endswith(chain_file.NAME) else _facts(file, manifest.read_verified(file))
    printer = console()
    shown = table("", "", header=False)
    for label, value in facts:
        shown.add_row(label, value)
    printer.print(shown)


def verify(files: list[Path], here_alone: bool = False) -> int:
    """Check every artifact named or found; a line each. Returns the first failure's exit code, or 0.

    `here_alone`: an engine for another GPU than this machine's is a failure.
    """
    printer = console()
    first = 0

    def failed(error: TrtkitError) -> None:
        nonlocal first
        first = first or error.exit_code
        printer.print(f"failed  {error}")

    found, unseen = find_artifacts(files)
    for error in unseen:
        failed(error)
    for folder in dict.fromkeys(file.parent for file in found):
        try:
            unfinished.check(folder)
        except TrtkitError as error:
            failed(error)
    for file in found:
        try:
            record = manifest.read_verified(file)
            printer.print(f"ok      {file}{_judged(file, record, here_alone)}")
        except TrtkitError as error:
            failed(error)
    return first


def _judged(file: Path, record: Manifest, here_alone: bool) -> str:
    """What a line adds where hash and manifest alone were checked. Raises CheckFailed for an engine of a GPU of this
    machine that the library here does not load, and for one of another GPU if `here_alone`."""
    if record.kind != "engine":
        return ""
    here, wanted = local_capabilities(), record.made_for.compute_capability
    if wanted is not None and wanted not in here and not here_alone:
        why = f"it is for {sm(wanted)}, not for this machine's GPU" if here else "there is no GPU here to judge it for"
        return f" (hash and manifest; {why})"
    loader = tensorrt.library_version() if record.made_with.tool == tensorrt.NAME else None
    capability = wanted if wanted in here else next(iter(here), None)
    judge_engine(record, capability, versions_for(record, loader), root_of(record, file))
    return ""


def _chain_facts(file: Path) -> Iterator[tuple[str, str]]:
    record = chain_file.read(file.parent, file.name)
    if record is None:
        raise Mistake(f"{file} does not exist; name an artifact that 'trtkit export' or 'trtkit build' made")
    yield "file", str(file)
    yield "is", f"the chain that {record.graph} of {record.model} became"
    note = f" ({record.weights.note})" if record.weights.note else ""
    yield "weights", f"{record.weights.kind}{note}, sha256 {record.weights.sha256}"
    yield "made with", ", ".join(f"{name} {version}" for name, version in record.made_with.items())
    for when, step in _walk(record.plan):
        kind = {HostStep: "on the host", CropStep: "crop", NetworkStep: "network", BranchStep: "decision"}[type(step)]
        taken = step.condition if isinstance(step, BranchStep) else ", ".join(step.inputs)
        yield when + kind, f"{step.name}: {taken} -> {', '.join(step.outputs)}"
    for node in record.on_host:
        yield "stays on the host", f"{node.operator} {node.name}: {node.why}"
    for check, figures in record.checks.items():
        yield f"check: {check.replace('_', ' ')}", json.dumps(_short(figures))
    yield "build key", record.build_key


def _walk(steps: tuple[Step, ...], when: str = "") -> Iterator[tuple[str, Step]]:
    for step in steps:
        yield when, step
        if isinstance(step, BranchStep):
            yield from _walk(step.then_steps, f"{when}if so, ")
            yield from _walk(step.else_steps, f"{when}if not, ")


def _facts(file: Path, record: Manifest) -> Iterator[tuple[str, str]]:
    yield "file", f"{file} ({record.came_out.size:,} bytes, sha256 {record.came_out.sha256})"
    yield "is", f"{record.kind} of {record.model}/{record.network} in {record.precision}"
    weights = record.made_of.weights
    yield "weights", f"{weights.kind}{f' ({weights.note})' if weights.note else ''}, sha256 {weights.sha256}"
    if record.made_of.onnx_sha256:
        yield "made of ONNX", record.made_of.onnx_sha256
    if record.made_of.calibration_sha256:
        yield "calibration", record.made_of.calibration_sha256
    flags = f", {json.dumps(record.made_with.flags)}" if record.made_with.flags else ""
    yield "made with", f"{record.made_with.tool} {record.made_with.version}, trtkit {record.made_with.trtkit}{flags}"
    if record.made_for.compute_capability:
        yield "for", f"compute capability {record.made_for.compute_capability}"
    for profile in record.made_for.profiles:
        for name, shapes in profile.items():
            yield "profile", f"{name}: " + ", ".join(f"{key} {'x'.join(map(str, shapes[key]))}" for key in _RANGE)
    if plan := record.made_for.memory_plan:
        yield "memory plan", f"activations {plan.activation_bytes:,} bytes, weights {plan.weights_bytes:,} bytes"
    if share := record.came_out.precision_share:
        yield (
            "precision",
            f"{share.half} Half and {share.int8} Int8 of {share.compute_layers} compute layers "
            f"(counted in the {share.source})",
        )
    for check, figures in record.came_out.checks.items():
        yield f"check: {check.replace('_', ' ')}", json.dumps(_short(figures))
    if record.kind == "engine":
        yield "executed", record.executed
    yield "build key", record.build_key


def _short(figures: Any) -> Any:
    """`figures` with four digits that count: the manifest keeps all of them."""
    if isinstance(figures, dict):
        return {name: _short(value) for name, value in figures.items()}
    return float(f"{figures:.4g}") if isinstance(figures, float) else figures
