"""`trtkit package triton`: model repositories of Triton, one for each backend the networks can run on.

Each folder of the package is a repository that is whole by itself, with the same models under the same names:
  tensorrt/     engines, one for each compute capability; there is none for any other
  onnxruntime/  the ONNX files: GPUs without an engine, and CPUs
  python/       the ONNX files in the Python backend on the CPU, for a Triton that has no other backend; on request
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trtkit
from trtkit.artifacts import sm
from trtkit.config import Config, Precision, Profile
from trtkit.models.spec import Model
from trtkit.package import configs, sources
from trtkit.package.folder import Content
from trtkit.package.readme import readme
from trtkit.package.shapes import Share, shares
from trtkit.package.sources import Sources
from trtkit.serve.limits import Limits
from trtkit.serve.names import network_name

VERSION = "1"
"""The version folder of every model: a package is replaced as a whole."""


@dataclass(frozen=True)
class Package:
    """`files`: path inside the package → its bytes, or the file it is a copy of. `notes` are for people."""

    files: dict[str, Content]
    backends: tuple[str, ...]
    capabilities: tuple[str, ...]
    tensorrt: str | None
    notes: tuple[str, ...]


def make(
    models: Sequence[Model],
    root: Path,
    gpus: Sequence[str],
    precision: Precision | None,
    config: Config,
    python: bool = False,
) -> Package:
    """The package of `models` from the artifacts under `root`; nothing is written. Raises what sources.collect does."""
    found = sources.collect(models, root, gpus, precision, config)
    capabilities = tuple(found[0].engines) if found else ()
    backends = [configs.ONNXRUNTIME]
    if capabilities:
        backends.insert(0, configs.TENSORRT)
    if python:
        backends.append(configs.PYTHON)
    files: dict[str, Content] = {}
    for backend in backends:
        for model in models:
            of_model = [source for source in found if source.model is model]
            files |= {f"{backend}/{path}": content for path, content in _repository(backend, of_model, config)}
    version = sources.tensorrt_version(found)
    files["README.md"] = readme(models, backends, capabilities, version, found).encode()
    return Package(files, tuple(backends), capabilities, version, tuple(_notes(found, root, gpus, config)))


def _repository(backend: str, found: Sequence[Sources], config: Config) -> Iterable[tuple[str, Content]]:
    """The files of one model's networks and pipeline in the repository of `backend`."""
    called: dict[str, list[dict[str, Any]]] = {}
    for source in found:
        settings = config.network(source.model.name, source.spec.name)
        parts = _shares(backend, source, settings.profiles, config)
        for share in parts:
            plans = {capability: f"model_{sm(capability)}.plan" for capability in source.engines}
            text = configs.network(
                share, source.spec, settings.batching, backend, plans if backend == configs.TENSORRT else {}
            )
            yield f"{share.name}/config.pbtxt", text.encode()
            if backend == configs.TENSORRT:
                for capability, engine in source.engines.items():
                    yield f"{share.name}/{VERSION}/{plans[capability]}", engine.path
            else:
                yield f"{share.name}/{VERSION}/model.onnx", source.onnx.path
            if backend == configs.PYTHON:
                yield f"{share.name}/{VERSION}/model.py", _model_py("triton_network", "NetworkModel")
        called[source.spec.name] = [_target(share, backend) for share in parts]
    model = found[0].model
    if model.several_files:
        return  # its answer is not one file, and the protocol has no name for it
    pipeline = {"model": model.name, "style": model.style, "networks": called, "megapixels": Limits().megapixels}
    widest = min(target["max_batch"] for targets in called.values() for target in targets[:1])
    yield f"{model.folder}/config.pbtxt", configs.pipeline(model.folder, widest, pipeline).encode()
    yield f"{model.folder}/{VERSION}/model.py", _model_py("triton_pipeline", "PipelineModel")


def _shares(backend: str, source: Sources, profiles: Sequence[Profile], config: Config) -> tuple[Share, ...]:
    """An engine's profiles are those it was built with; without an engine the largest batch's alone bounds it."""
    name = network_name(source.model.folder, source.spec.name)
    batching = config.network(source.model.name, source.spec.name).batching
    on_cpu = backend == configs.PYTHON
    # The server bounds such a network by its pixels; Triton only by its batch.
    largest = 1 if on_cpu and source.spec.pixels_at_once else batching.largest("cpu" if on_cpu else backend)
    if backend != configs.TENSORRT:
        return shares(name, source.spec, profiles, largest)[:1]
    built = next(iter(source.engines.values())).record.made_for.profiles
    return shares(name, source.spec, configs.as_profiles(built), largest)


def _target(share: Share, backend: str) -> dict[str, Any]:
    """What the pipeline is told of a network's model; ONNX Runtime takes any shape."""
    bound = {name: ranges.model_dump() for name, ranges in share.profile.items()} if backend == configs.TENSORRT else {}
    return {"model": share.name, "max_batch": share.max_batch, "profile": bound}


def _model_py(module: str, base: str) -> bytes:
    return f'''"""Written by `trtkit package triton`; the code is that of trtkit, installed in Triton's Python."""

import triton_python_backend_utils

from trtkit.package.{module} import {base}


class TritonPythonModel({base}):
    utils = triton_python_backend_utils
'''.encode()


def _notes(found: Sequence[Sources], root: Path, gpus: Sequence[str], config: Config) -> Iterable[str]:
    others = [name for name in gpus if sources.BUILDER not in config.gpu(name).served_by]
    if others:
        yield f"{', '.join(others)}: no TensorRT for it, so it serves from {configs.ONNXRUNTIME}/"
    for model in {source.model.folder: source.model for source in found if not source.model.several_files}.values():
        beside = sources.beside_networks(model, root)
        if beside:
            yield (
                f"{model.folder}: {', '.join(beside)} stay behind, so that its pipeline in Triton does without them, "
                "as with the networks of the package; trtkit serve uses them"
            )
    left_out = sources.rtx_engines(found, root)
    if left_out:
        yield (
            f"TensorRT-RTX engines are left out ({len(left_out)}, such as {left_out[0].name}): Triton has no backend "
            "for them; build with --builder tensorrt on the GPU itself"
        )


def record(package: Package, models: Sequence[Model], sums: dict[str, tuple[str, int]]) -> bytes:
    """package.json: what the package was made of and every file's sha256 and size."""
    content = {
        "schema_version": 1,
        "trtkit": trtkit.__version__,
        "models": [model.folder for model in models],
        "tensorrt": package.tensorrt,
        "compute_capabilities": list(package.capabilities),
        "files": {path: {"sha256": digest, "size": size} for path, (digest, size) in sorted(sums.items())},
    }
    return (json.dumps(content, indent=2) + "\n").encode()
