"""The FP16 artifact of a network: derived from its FP32 form, its range looked at, held against the tolerance."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

from trtkit import __version__, artifacts, models
from trtkit.config import Config, NetworkConfig
from trtkit.errors import CheckFailed, Mistake
from trtkit.export import half, half_range, parity
from trtkit.export.photographs import photographs
from trtkit.export.prepared import (
    FORM_VERSION,
    MOST_PICTURES,
    Prepared,
    came_out_of,
    check_form,
    checked_on,
    key_of,
    photographs_of,
    unit_of,
    up_to_date,
)
from trtkit.manifest import KEPT, MadeOf, MadeWith, Manifest
from trtkit.models.spec import Model, NetworkSpec
from trtkit.runtime.cpu import CpuBackend

TOLERANCE = 1.0
"""Grey levels that FP16 may differ by on average where engines.yaml says nothing."""

RELATIVE_TOLERANCE = 0.01
"""The same of a network whose outputs are numbers, as a share of the largest."""


def derive(
    model: Model, spec: NetworkSpec, fp32: Prepared, root: Path, config: Config, images: Path | None, force: bool
) -> Prepared:
    """`fp32` is the form that it is derived from. Raises Mistake for engines.yaml's keep_fp32, CheckFailed."""
    began = time.perf_counter()
    path = artifacts.onnx_path(root, model.folder, spec.name, "fp16")
    settings = config.network(model.name, spec.name)
    parent = fp32.manifest
    kept = kept_in_fp32(spec, settings)
    key = key_of(onnx=parent.came_out.sha256, keep_fp32=kept, trtkit=__version__)
    fallback = RELATIVE_TOLERANCE if spec.relative else TOLERANCE
    tolerance = settings.tolerance.get("fp16", fallback)
    if not force and (existing := up_to_date(path, key)) and checked_on(existing, images):
        _judge(f"the FP16 form of {model.name}/{spec.name}", spec, existing.came_out.checks, tolerance)
        return Prepared(path, existing, None, time.perf_counter() - began)
    exact = fp32.graph()
    check_kept(exact, model, spec, settings)
    typed = half.to_half(exact, kept)
    content = typed.SerializeToString(deterministic=True)
    check_form(content, f"the FP16 form of {model.name}/{spec.name}")
    checks = _check(model, spec, exact, typed, photographs(images, MOST_PICTURES), tolerance)
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
            flags={"form": FORM_VERSION, "keep_fp32": kept, KEPT: _kept_on_purpose(exact, settings)},
        ),
        came_out=came_out_of(content, checks | photographs_of(images)),
        build_key=key,
    )
    return Prepared(path, made, content, time.perf_counter() - began)


def kept_in_fp32(spec: NetworkSpec, settings: NetworkConfig) -> list[str]:
    """What a typed form leaves in FP32: by the network's own nature, and by engines.yaml."""
    return sorted({*spec.keep_fp32, *settings.keep_fp32})


def _kept_on_purpose(graph: ModelProto, settings: NetworkConfig) -> int:
    """How many of the layers that a build counts engines.yaml keeps in FP32."""
    kept = set(settings.keep_fp32)
    return sum(node.op_type in half.COMPUTE and half.is_kept(node, kept) for node in graph.graph.node)


def check_kept(graph: ModelProto, model: Model, spec: NetworkSpec, settings: NetworkConfig) -> None:
    """Raise Mistake, naming the key, if an entry of engines.yaml's keep_fp32 stands for no node of the FP32 `graph`."""
    for entry in settings.keep_fp32:
        if not any(half.is_kept(node, {entry}) for node in graph.graph.node):
            key = f"models.{model.name}.networks.{spec.name}.keep_fp32"
            raise Mistake(
                f"engines.yaml: key '{key}': no node is called '{entry}', lies in a module of that name or is of that "
                "operator type; the names are those of the FP32 ONNX file"
            )


def _check(
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
    report = half_range.examine(exact, typed, parity.range_batches(model, spec, pictures), spec.relative)
    check_range(f"the FP16 form of {name}", model, spec, exact, report.peak)
    checks = {
        "against_fp32": figures,
        "half_range": {"peak": round(report.peak.value, 3), "tensor": report.peak.tensor},
        "rounded_to_half": {"mean": parity.rounded(report.mean_shift), "max": report.max_shift},
        "tolerance_mean": tolerance,
        **unit_of(spec),
    }
    _judge(f"the FP16 form of {name}", spec, checks, tolerance)
    return checks


def check_range(subject: str, model: Model, spec: NetworkSpec, exact: ModelProto, peak: half_range.Peak) -> None:
    """Raise CheckFailed, with what mends it, if the largest value that `subject` has in half precision does not fit."""
    if peak.fits:
        return
    around = ", ".join(half_range.nodes_around(exact, peak.tensor))
    raise CheckFailed(
        f"{subject} would overflow: tensor '{peak.tensor}' reaches {peak.value:g}, "
        f"more than half of {half.HALF_MAX:g}; leave it in FP32 with keep_fp32: [{around}] under "
        f"models.{model.name}.networks.{spec.name} in engines.yaml{_block(model, spec)}"
    )


def _block(model: Model, spec: NetworkSpec) -> str:
    """What else a network's block there has to say, if trtkit's own engines.yaml has none."""
    own = models.get(model.name).networks if model.name in models.NAMES else ()
    return "" if spec.name in [one.name for one in own] else ", a block with precisions and profiles as the others have"


def _judge(subject: str, spec: NetworkSpec, checks: dict[str, Any], tolerance: float) -> None:
    """Raise CheckFailed if the figures of a check are past the tolerance that engines.yaml states now."""
    label, mean = parity.worst(checks["against_fp32"], "mean")
    mean = max(mean, checks["rounded_to_half"]["mean"])
    if not mean <= tolerance:
        raise CheckFailed(
            f"{subject} differs from FP32 by {mean:.3g} {spec.unit} on average ({label}), more than the tolerance of "
            f"{tolerance:g} in engines.yaml; it is not used"
        )
