"""A checkpoint, or the weights in the package → the ONNX artifacts: made, checked, then published.

What fails its check leaves nothing behind. What is up to date is not made again.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from trtkit import __version__, artifacts, manifest
from trtkit.config import Config
from trtkit.errors import CheckFailed, TrtkitError
from trtkit.export import half, half_range, half_storage, parity
from trtkit.export.photographs import photographs
from trtkit.files import sha256
from trtkit.manifest import CameOut, MadeOf, MadeWith, Manifest, WeightsRecord
from trtkit.models.spec import GREY, Model, NetworkSpec, Weights
from trtkit.optional import need
from trtkit.runtime.cpu import CpuBackend
from trtkit.runtime.left_over import of_an_earlier_package

FP32_TOLERANCE = 1.0
"""Grey levels by which the ONNX may differ from the source network anywhere; a network of numbers states its own."""

HALF_RELATIVE_TOLERANCE = 0.01
"""What FP16 may differ by on average where engines.yaml says nothing, of a network whose outputs are numbers."""

FORM_VERSION = 1
"""Part of every key: raised when the same weights would give another graph."""

_EXPORTERS = ("torch", "onnxscript", "onnx-ir")
"""Packages that write the graph: another version of one may write another."""


@dataclass(frozen=True)
class Exported:
    path: Path
    manifest: Manifest
    made: bool
    """False if it was up to date."""
    seconds: float


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
    chosen = weights or embedded_weights(model, spec)
    exact = _export_fp32(model, spec, chosen, root, images, force)
    return exact if precision == "fp32" else _derive_half(model, spec, exact.path, root, config, images, force)


def ensure(
    model: Model, spec: NetworkSpec, precision: str, root: Path, config: Config, images: Path | None = None
) -> Exported:
    """The ONNX artifact a build starts from: the one under `root`, else made from the weights in the package.

    Needs no torch: the embedded ONNX was exported and checked before it was shipped.
    """
    path = artifacts.onnx_path(root, model.folder, spec.name, "fp32")
    if path.is_file() and not _embedded_but_old(path, model, spec):
        exact = Exported(path, manifest.read_verified(path), False, 0.0)
    else:
        exact = _unpack_embedded(model, spec, path)
    return exact if precision == "fp32" else _derive_half(model, spec, exact.path, root, config, images, False)


def unpack(model: Model, spec: NetworkSpec, root: Path) -> Exported:
    """The embedded ONNX as the FP32 artifact under `root`, whatever lay there before."""
    return _unpack_embedded(model, spec, artifacts.onnx_path(root, model.folder, spec.name, "fp32"))


def _given_weights(model: Model, spec: NetworkSpec, given: Path) -> Weights:
    path = model.find_weights(spec.name, given)
    return Weights("file", path, sha256(path))


def _embedded_but_old(path: Path, model: Model, spec: NetworkSpec) -> bool:
    """True if the artifact came from embedded weights that another trtkit version shipped, or in another form."""
    record = manifest.read(path)
    if record.made_of.weights.kind != "embedded":
        return False
    in_another_form = _form(record) != _form(manifest.read(model.embedded_onnx(spec.name)))
    return in_another_form or of_an_earlier_package(record, model, spec.name)


def _form(record: Manifest) -> int | None:
    return record.made_with.flags.get("form")


def _unpack_embedded(model: Model, spec: NetworkSpec, path: Path) -> Exported:
    began = time.perf_counter()
    source = model.embedded_onnx(spec.name)
    shipped = manifest.read_verified(source)
    content = half_storage.expand(onnx.load(source)).SerializeToString(deterministic=True)
    made = shipped.model_copy(update={"came_out": _came_out(content, shipped.came_out.checks)})
    manifest.publish(path, content, made)
    return Exported(path, made, True, time.perf_counter() - began)


def _export_fp32(
    model: Model, spec: NetworkSpec, weights: Weights, root: Path, images: Path | None, force: bool
) -> Exported:
    began = time.perf_counter()
    path = artifacts.onnx_path(root, model.folder, spec.name, "fp32")
    key = fp32_key(weights.sha256)
    if not force and (existing := up_to_date(path, key)):
        return Exported(path, existing, False, time.perf_counter() - began)
    content, checks, exporter = export_checked(model, spec, weights, images)
    made = Manifest(
        kind="onnx",
        model=model.name,
        network=spec.name,
        style=model.style,
        precision="fp32",
        made_of=MadeOf(weights=WeightsRecord(kind=weights.kind, sha256=weights.sha256, note=weights.note)),
        made_with=MadeWith(trtkit=__version__, tool="torch.onnx", version=exporter, flags={"form": FORM_VERSION}),
        came_out=_came_out(content, checks),
        build_key=key,
    )
    manifest.publish(path, content, made)
    return Exported(path, made, True, time.perf_counter() - began)


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
    return content, {"against_source": figures, **_unit(spec)}, torch.__version__.partition("+")[0]


def _derive_half(
    model: Model, spec: NetworkSpec, fp32: Path, root: Path, config: Config, images: Path | None, force: bool
) -> Exported:
    began = time.perf_counter()
    path = artifacts.onnx_path(root, model.folder, spec.name, "fp16")
    parent = manifest.read_verified(fp32)
    kept = sorted(spec.keep_fp32)
    key = _key(onnx=parent.came_out.sha256, keep_fp32=kept, trtkit=__version__)
    if not force and (existing := up_to_date(path, key)):
        return Exported(path, existing, False, time.perf_counter() - began)
    exact = onnx.load(fp32)
    typed = half.to_half(exact, kept)
    content = typed.SerializeToString(deterministic=True)
    check_form(content, f"the FP16 form of {model.name}/{spec.name}")
    fallback = HALF_RELATIVE_TOLERANCE if spec.relative else FP32_TOLERANCE
    tolerance = config.network(model.name, spec.name).tolerance.get("fp16", fallback)
    checks = _check_half(model, spec, exact, typed, photographs(images), tolerance)
    made = Manifest(
        kind="onnx",
        model=model.name,
        network=spec.name,
        style=model.style,
        precision="fp16",
        made_of=MadeOf(weights=parent.made_of.weights, onnx_sha256=parent.came_out.sha256),
        made_with=MadeWith(
            trtkit=__version__,
            tool="trtkit",
            version=__version__,
            flags={"form": FORM_VERSION, "keep_fp32": kept},
        ),
        came_out=_came_out(content, checks),
        build_key=key,
    )
    manifest.publish(path, content, made)
    return Exported(path, made, True, time.perf_counter() - began)


def _check_half(
    model: Model,
    spec: NetworkSpec,
    exact: ModelProto,
    typed: ModelProto,
    pictures: list[np.ndarray],
    tolerance: float,
) -> dict[str, Any]:
    """Figures of the FP16 form against FP32; raises CheckFailed if it would overflow or drift."""
    name = f"{model.name}/{spec.name}"
    with CpuBackend(exact.SerializeToString()) as fp32, CpuBackend(typed.SerializeToString()) as fp16:
        batches = parity.sample_batches(model, spec, pictures)
        figures = parity.differences(fp32.run, fp16.run, batches, spec.relative)
    _, arrays = next(parity.sample_batches(model, spec, pictures))
    report = half_range.examine(exact, typed, arrays, spec.relative)
    if not report.fits:
        raise CheckFailed(
            f"the FP16 form of {name} would overflow: tensor '{report.worst_tensor}' reaches {report.worst_value:g}, "
            f"more than half of {half.HALF_MAX:g}; add its node to keep_fp32"
        )
    label, mean = parity.worst(figures, "mean")
    if not max(mean, report.mean_shift) <= tolerance:
        raise CheckFailed(
            f"the FP16 form of {name} differs from FP32 by {max(mean, report.mean_shift):.3g} {spec.unit} on average "
            f"({label}), more than the tolerance of {tolerance:g} in engines.yaml; nothing was kept"
        )
    return {
        "against_fp32": figures,
        "half_range": {"peak": round(report.worst_value, 3), "tensor": report.worst_tensor},
        "rounded_to_half": {"mean": parity.rounded(report.mean_shift), "max": report.max_shift},
        "tolerance_mean": tolerance,
        **_unit(spec),
    }


def _unit(spec: NetworkSpec) -> dict[str, str]:
    """What the figures are counted in, where it is not grey levels."""
    return {"unit": spec.unit} if spec.unit != GREY else {}


def check_form(content: bytes, subject: str) -> None:
    """onnx.checker's full check, in which RTX's own leniency does not count. Raises CheckFailed."""
    try:
        onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    except Exception as error:
        # checker and shape inference raise different types, all of them meaning 'not valid ONNX'.
        raise CheckFailed(f"{subject} is not valid ONNX: {' '.join(str(error).split())[:300]}") from error


def up_to_date(path: Path, key: str) -> Manifest | None:
    """The manifest of `path` if it has this key and its content is intact, else None: it is made again."""
    try:
        existing = manifest.read(path)
        if existing.build_key != key:
            return None
        manifest.check_content(path, existing)
    except TrtkitError:
        return None
    return existing


def _came_out(content: bytes, checks: dict[str, Any]) -> CameOut:
    return CameOut(sha256=hashlib.sha256(content).hexdigest(), size=len(content), checks=checks)


def _key(**parts: Any) -> str:
    return hashlib.sha256(json.dumps({"form": FORM_VERSION, **parts}, sort_keys=True).encode()).hexdigest()


def fp32_key(weights_sha256: str) -> str:
    """Of an FP32 form: its weights, and what exports them as it is installed here; imports none of it."""
    return _key(weights=weights_sha256, trtkit=__version__, exporters={name: _version(name) for name in _EXPORTERS})


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        return ""
