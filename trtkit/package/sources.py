"""Which artifacts go into a package: found, judged by their manifests, and in agreement with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trtkit import artifacts, manifest
from trtkit.config import Config, Precision
from trtkit.errors import CheckFailed, Mistake
from trtkit.export.ready import check_one_set
from trtkit.manifest import Manifest
from trtkit.mending import mending_command
from trtkit.models.imported import chain_file
from trtkit.models.spec import Model, NetworkSpec
from trtkit.runtime.cuda import onnx_file
from trtkit.runtime.engines import PRECISIONS
from trtkit.runtime.request import Request

BUILDER = "tensorrt"
"""Triton's TensorRT backend loads TensorRT's engines; those of TensorRT-RTX are another library's."""


@dataclass(frozen=True)
class Artifact:
    path: Path
    record: Manifest


@dataclass(frozen=True)
class Sources:
    """The files of one network: its ONNX, and an engine for each compute capability ('8.6')."""

    model: Model
    spec: NetworkSpec
    onnx: Artifact
    engines: dict[str, Artifact]


def collect(
    models: Sequence[Model], root: Path, gpus: Sequence[str], precision: Precision | None, config: Config
) -> list[Sources]:
    """The artifacts of every network under `root`, engines for `gpus` or, if none is named, for all there are.

    Raises Mistake naming what is missing and the command that makes it, CheckFailed for artifacts that are damaged or
    do not belong together.
    """
    for model in models:
        if (root / model.folder / chain_file.NAME).is_file():
            raise Mistake(
                f"{root / model.folder} holds an imported graph, and what is between its networks runs in trtkit "
                f"alone; package the model's own networks: trtkit export {model.called} --weights embedded, or serve "
                "it with trtkit serve"
            )
        check_one_set(model, root)
    networks = [(model, spec, _kind(model, spec, precision, config)) for model in models for spec in model.networks]
    asked = {name: config.gpu(name) for name in gpus}
    wanted = {gpu.compute_capability: name for name, gpu in asked.items() if BUILDER in gpu.served_by}
    if not gpus:
        found = [capability for model, spec, kind in networks for capability in _capabilities(model, spec, root, kind)]
        wanted = {capability: artifacts.sm(capability) for capability in found}
    made = []
    for model, spec, kind in networks:
        onnx = _onnx(model, spec, root, kind, config)
        engines = {
            capability: _engine(model, spec, root, kind, capability, gpu)
            for capability, gpu in sorted(wanted.items(), key=lambda item: float(item[0]))
        }
        _same_weights(onnx, engines)
        _same_profiles(list(engines.values()))
        made.append(Sources(model, spec, onnx, engines))
    _one_version(made)
    return made


def tensorrt_version(sources: Sequence[Sources]) -> str | None:
    """The TensorRT that all engines were built with, None where there are none."""
    return next((one.record.made_with.version for source in sources for one in source.engines.values()), None)


def beside_networks(model: Model, root: Path) -> list[str]:
    """Files that the pipeline reads beside its networks, and that cannot go along."""
    names = (*model.side_files, *(chain_file.name_of(side.name) for side in model.sides))
    return [name for name in names if (root / model.folder / name).is_file()]


def rtx_engines(sources: Sequence[Sources], root: Path) -> list[Path]:
    """Engines that lie there and cannot go along."""
    return [
        path
        for source in sources
        for path in sorted((root / source.model.folder).glob(f"{source.spec.name}.*.tensorrt-rtx.engine"))
    ]


def _kind(model: Model, spec: NetworkSpec, precision: Precision | None, config: Config) -> Precision | None:
    """`precision`, or FP16 for a network that has no INT8 beside others of its model that have."""
    known = config.models[model.name].networks if model.name in config.models else {}
    has_int8 = {name for name, settings in known.items() if "int8" in settings.precisions}
    return "fp16" if precision == "int8" and has_int8 and spec.name not in has_int8 else precision


def _capabilities(model: Model, spec: NetworkSpec, root: Path, precision: Precision | None) -> list[str]:
    """Compute capabilities of the engines that lie under `root`."""
    found = []
    for kind in (precision,) if precision else PRECISIONS:
        for path in sorted((root / model.folder).glob(f"{spec.name}.{kind}.sm*.{BUILDER}.engine")):
            capability = manifest.read(path).made_for.compute_capability
            if capability:
                found.append(capability)
    return found


def _onnx(model: Model, spec: NetworkSpec, root: Path, precision: Precision | None, config: Config) -> Artifact:
    path = onnx_file(Request(model, spec, root, 0, 1, config, precision), half=True)
    if path is None:
        verb = "calibrate" if precision == "int8" else "export"
        option = f" --precision {precision}" if precision in ("fp16", "fp32") else ""
        raise Mistake(
            f"{root / model.folder} has no {f'{precision} ' if precision else ''}ONNX file of {spec.name}; make it "
            f"with: trtkit {verb} {model.called}{option}"
        )
    return Artifact(path, manifest.read_verified(path))


def _engine(
    model: Model, spec: NetworkSpec, root: Path, precision: Precision | None, capability: str, gpu: str
) -> Artifact:
    for kind in (precision,) if precision else PRECISIONS:
        path = artifacts.engine_path(root, model.folder, spec.name, kind, capability, BUILDER)
        if path.is_file():
            record = manifest.read_verified(path)
            if record.made_with.flags.get("version_compatible") or not record.made_for.profiles:
                raise CheckFailed(
                    f"{path} is not an engine that Triton loads as it is (version-compatible, or without profiles); "
                    f"{mending_command(record, path)}"
                )
            return Artifact(path, record)
    option = f" --precision {precision}" if precision else ""
    raise Mistake(
        f"{root / model.folder} has no {BUILDER} engine of {spec.name} for {artifacts.sm(capability)}"
        f"{f' in {precision}' if precision else ''}, and every packaged network needs one; make it on that GPU with: "
        f"trtkit build {model.called} --gpu {gpu} --builder {BUILDER}{option}"
    )


def _same_weights(onnx: Artifact, engines: dict[str, Artifact]) -> None:
    for engine in engines.values():
        if engine.record.made_of.weights.sha256 != onnx.record.made_of.weights.sha256:
            raise CheckFailed(
                f"{engine.path} and {onnx.path} were made of different weights; "
                f"{mending_command(engine.record, engine.path)}"
            )


def _same_profiles(engines: Sequence[Artifact]) -> None:
    """A Triton model has one configuration, whichever GPU's engine it loads."""
    for one in engines[1:]:
        if one.record.made_for.profiles != engines[0].record.made_for.profiles:
            raise CheckFailed(
                f"{one.path} and {engines[0].path} were built with different profiles, and a Triton model has one "
                "configuration for both; build them again with one engines.yaml: trtkit build --builder tensorrt"
            )


def _one_version(sources: Sequence[Sources]) -> None:
    versions: dict[str, Path] = {}
    for source in sources:
        for engine in source.engines.values():
            versions.setdefault(engine.record.made_with.version, engine.path)
    if len(versions) > 1:
        listed = ", ".join(f"{path} by {version}" for version, path in versions.items())
        raise CheckFailed(
            f"the engines were built with different TensorRT versions ({listed}), and a Triton container has one; "
            "build them again with one version: trtkit build --builder tensorrt --force"
        )
