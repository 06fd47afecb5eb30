"""A checkpoint, or the weights in the package → the ONNX artifacts: made, checked, then published.

What fails its check leaves nothing behind. What is up to date is not made again.
"""

from __future__ import annotations

import importlib.metadata
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from trtkit import __version__, artifacts, manifest
from trtkit.config import Config
from trtkit.errors import CheckFailed, TrtkitError
from trtkit.export import half_form, half_storage, parity
from trtkit.export.photographs import photographs
from trtkit.export.prepared import (
    FORM_VERSION,
    Exported,
    Prepared,
    came_out_of,
    check_form,
    checked_on,
    key_of,
    photographs_of,
    unit_of,
    up_to_date,
)
from trtkit.files import sha256
from trtkit.manifest import MadeOf, MadeWith, Manifest, WeightsRecord
from trtkit.models.spec import Model, NetworkSpec, Weights
from trtkit.optional import need
from trtkit.runtime.cpu import CpuBackend
from trtkit.runtime.left_over import of_an_earlier_package

FP32_TOLERANCE = 1.0
"""Grey levels by which the ONNX may differ from the source network anywhere; a network of numbers states its own."""

_EXPORTERS = ("torch", "onnxscript", "onnx-ir")
"""Packages that write the graph: another version of one may write another."""


def embedded_weights(model: Model, spec: NetworkSpec) -> Weights:
    path = model.embedded_dir / f"{spec.name}.safetensors"
    record = manifest.read(model.embedded_onnx(spec.name)).made_of.weights
    return Weights("embedded", path, record.sha256, record.note)


def export(
    model: Model,
    spec: NetworkSpec,
    precision: str,
    root: Path,
    config: Config,
    weights: Weights | Path | None = None,
    images: Path | None = None,
    force: bool = False,
) -> Exported:
    """Export one network from `weights` (default: the embedded ones) through torch, checked on photographs.

    A path is what --weights named; which file of it is this network's, the model says.

    FP16 is derived from the FP32 form, which is made first. Raises CheckFailed past the tolerance.
    """
    if isinstance(weights, Path):
        weights = _given_weights(model, spec, weights)
    made = prepare(model, spec, precision, root, config, weights, images, force)
    return [one.publish() for one in made][-1]


def prepare(
    model: Model,
    spec: NetworkSpec,
    precision: str,
    root: Path,
    config: Config,
    weights: Weights | None = None,
    images: Path | None = None,
    force: bool = False,
) -> list[Prepared]:
    """See `export`: the FP32 form and, where it is asked for, the FP16 form, with nothing written yet."""
    exact = _prepare_fp32(model, spec, weights or embedded_weights(model, spec), root, images, force)
    if precision == "fp32":
        return [exact]
    return [exact, half_form.derive(model, spec, exact, root, config, images, force)]


def ensure(
    model: Model, spec: NetworkSpec, precision: str, root: Path, config: Config, images: Path | None = None
) -> Exported:
    """The ONNX artifact a build starts from: the one under `root`, else made from the weights in the package.

    Needs no torch: the embedded ONNX was exported and checked before it was shipped.
    """
    path = artifacts.onnx_path(root, model.folder, spec.name, "fp32")
    exact = _exact(model, spec, path)
    if precision == "fp32":
        return exact
    parent = Prepared(path, exact.manifest, None, 0.0)
    typed = half_form.derive(model, spec, parent, root, config, images, False).publish()
    return replace(typed, note=exact.note)


def _exact(model: Model, spec: NetworkSpec, path: Path) -> Exported:
    """The FP32 form as it lies there. The one in the package is unpacked where there is none, and in the place of one
    that it was unpacked to before and that is old or damaged now: no other export needs no torch."""
    if not path.is_file():
        return _unpack_embedded(model, spec, path).publish()
    if not _embedded_but_old(path, model, spec):
        try:
            return Exported(path, manifest.read_verified(path), False, 0.0)
        except CheckFailed:
            if manifest.read(path).made_of.weights.kind != "embedded":
                raise
    again = _unpack_embedded(model, spec, path).publish()
    return replace(again, note=f"{path} was damaged or of another trtkit, so it was unpacked from the package again")


def unpack(model: Model, spec: NetworkSpec, root: Path) -> Prepared:
    """The embedded ONNX as the FP32 artifact under `root`, whatever lies there."""
    return _unpack_embedded(model, spec, artifacts.onnx_path(root, model.folder, spec.name, "fp32"))


def _given_weights(model: Model, spec: NetworkSpec, given: Path) -> Weights:
    path = model.find_weights(spec.name, given)
    return Weights("file", path, sha256(path))


def _embedded_but_old(path: Path, model: Model, spec: NetworkSpec) -> bool:
    """True if the artifact came from embedded weights that another trtkit version shipped, or in another form, or if
    it is theirs but has no manifest that can be read: a process was killed between the two, or it was damaged."""
    try:
        record = manifest.read(path)
    except TrtkitError:
        with suppress(TrtkitError):  # the package has no such network
            return bool(sha256(path) == _unpack_embedded(model, spec, path).manifest.came_out.sha256)
        raise
    if record.made_of.weights.kind != "embedded":
        return False
    in_another_form = _form(record) != _form(manifest.read(model.embedded_onnx(spec.name)))
    return in_another_form or of_an_earlier_package(record, model, spec.name)


def _form(record: Manifest) -> int | None:
    return record.made_with.flags.get("form")


def _unpack_embedded(model: Model, spec: NetworkSpec, path: Path) -> Prepared:
    began = time.perf_counter()
    source = model.embedded_onnx(spec.name)
    shipped = manifest.read_verified(source)
    content = half_storage.expand(onnx.load(source)).SerializeToString(deterministic=True)
    made = shipped.model_copy(update={"came_out": came_out_of(content, shipped.came_out.checks)})
    return Prepared(path, made, content, time.perf_counter() - began)


def _prepare_fp32(
    model: Model, spec: NetworkSpec, weights: Weights, root: Path, images: Path | None, force: bool
) -> Prepared:
    began = time.perf_counter()
    path = artifacts.onnx_path(root, model.folder, spec.name, "fp32")
    key = fp32_key(weights.sha256)
    if not force and (existing := up_to_date(path, key)) and checked_on(existing, images):
        return Prepared(path, existing, None, time.perf_counter() - began)
    content, checks, exporter = export_checked(model, spec, weights, images)
    made = Manifest(
        kind="onnx",
        model=model.name,
        network=spec.name,
        style=model.style,
        precision="fp32",
        made_of=MadeOf(weights=WeightsRecord(kind=weights.kind, sha256=weights.sha256, note=weights.note)),
        made_with=MadeWith(trtkit=__version__, tool="torch.onnx", version=exporter, flags={"form": FORM_VERSION}),
        came_out=came_out_of(content, checks | photographs_of(images)),
        build_key=key,
    )
    return Prepared(path, made, content, time.perf_counter() - began)


def export_checked(
    model: Model, spec: NetworkSpec, weights: Weights, images: Path | None
) -> tuple[bytes, dict[str, Any], str]:
    """(ONNX bytes, check figures, torch version) of one network; raises CheckFailed past the FP32 tolerance."""
    torch = need("torch", "export")
    from trtkit.export.torch_export import to_onnx

    module = model.load_source(spec.name, weights.path)
    pictures = photographs(images)
    content = to_onnx(module, spec, model.name, weights.sha256).SerializeToString(deterministic=True)
    check_form(content, f"the export of {model.name}/{spec.name}")

    def source(arrays):  # type: ignore[no-untyped-def]
        with torch.inference_mode():
            outputs = module(*(torch.from_numpy(arrays[tensor.name]) for tensor in spec.inputs))
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return {tensor.name: out.numpy() for tensor, out in zip(spec.outputs, outputs, strict=True)}

    with CpuBackend(content) as backend:
        batches = parity.sample_batches(model, spec, pictures)
        figures = parity.differences(source, backend.run, batches, spec.relative)
    label, value = parity.worst(figures, "max")
    tolerance = spec.parity if spec.relative else FP32_TOLERANCE
    if not value <= tolerance:
        raise CheckFailed(
            f"the ONNX of {model.name}/{spec.name} differs from its source network by {value:.4g} {spec.unit} at "
            f"{label}, more than {tolerance:g}; nothing was kept"
        )
    return content, {"against_source": figures, **unit_of(spec)}, torch.__version__.partition("+")[0]


def fp32_key(weights_sha256: str) -> str:
    """Of an FP32 form: its weights, and what exports them as it is installed here; imports none of it."""
    return key_of(weights=weights_sha256, trtkit=__version__, exporters={name: _version(name) for name in _EXPORTERS})


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return ""
