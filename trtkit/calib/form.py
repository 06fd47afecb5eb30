"""Scales → the INT8 artifact: the typed FP16 form with Q/DQ pairs, compared with FP32, with its manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from trtkit import __version__, manifest
from trtkit.calib import accuracy, placement, qdq
from trtkit.calib.images import ImageSet
from trtkit.calib.scales import Scales
from trtkit.calib.subject import nothing_seen, opened
from trtkit.calib.target import Target
from trtkit.export import half, half_range
from trtkit.export.half_form import check_kept, check_range, kept_in_fp32
from trtkit.export.prepared import check_form, up_to_date
from trtkit.manifest import KEPT, CameOut, MadeOf, MadeWith, Manifest
from trtkit.runtime.backend import Arrays
from trtkit.runtime.cpu import CpuBackend

FORM = 2
"""Raised when the same scales would give another graph."""

CHECKED = 16
"""Of the calibration images, how many INT8 is compared with FP32 on."""


def build_key(target: Target, scales_sha256: str, worst: list[str]) -> str:
    """Of a Q/DQ ONNX: its scales, which hold the FP32 graph's hash, and its placement. `worst`: convolutions that
    stay FP16 beside those of engines.yaml."""
    parts: dict[str, Any] = {
        "form": FORM,
        "scales": scales_sha256,
        "keep_fp16": sorted({*target.settings.int8.keep_fp16, *worst}),
        "keep_fp32": kept_in_fp32(target.spec, target.settings),
        "trtkit": __version__,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def make(
    target: Target,
    seen: ImageSet,
    found: Scales,
    scales_sha256: str,
    worst: list[str],
    force: bool,
    progress: Callable[[str, int, int], None],
) -> Manifest:
    """Write the Q/DQ ONNX unless it is up to date, compared with FP32 on images that were `seen`. Raises Mistake for a
    block list that names nothing, and where none of the images shows anything for the network."""
    path = target.onnx("int8")
    key = build_key(target, scales_sha256, worst)
    if not force and (existing := up_to_date(path, key)):
        return existing
    blocked = sorted({*target.blocked, *worst})
    exact = target.equalized
    where = placement.place(exact, blocked)
    check_kept(exact, target.model, target.spec, target.settings)
    typed = half.to_half(exact, kept_in_fp32(target.spec, target.settings))
    content = qdq.insert(typed, exact, where, found.limits).SerializeToString(deterministic=True)
    check_form(content, f"the INT8 form of {target.name}")
    # On a CPU half precision is computed in FP32, so the comparison below would not see an overflow.
    peak = half_range.highest(exact, typed, (arrays for _, arrays in _fed(target, seen)))
    check_range(f"the INT8 form of {target.name}", target.model, target.spec, exact, peak)
    checks = {
        "against_fp32": _check(target, seen, content, progress),
        "half_range": {"peak": round(peak.value, 3), "tensor": peak.tensor},
        "tolerance": target.settings.int8.model_dump(exclude={"method", "keep_fp16"}, exclude_none=True)
        | {"mae": target.settings.tolerance.get("int8")},
    }
    parent = target.exact.manifest
    made = Manifest(
        kind="onnx",
        model=target.model.name,
        network=target.spec.name,
        style=target.model.style,
        precision="int8",
        made_of=MadeOf(
            weights=parent.made_of.weights, onnx_sha256=parent.came_out.sha256, calibration_sha256=scales_sha256
        ),
        made_with=MadeWith(
            trtkit=__version__,
            tool="trtkit",
            version=__version__,
            flags={
                "form": FORM,
                "method": found.key.method,
                "images": len(found.key.images),
                "image_source": found.image_source,
                "int8": list(where.convolutions),
                "fp16": list(where.left_out),
                "worst": worst,
                KEPT: sum(node.name in where.left_out for node in placement.with_weights(exact)),
            },
        ),
        came_out=CameOut(sha256=hashlib.sha256(content).hexdigest(), size=len(content), checks=checks),
        build_key=key,
    )
    manifest.publish(path, content, made)
    return made


def _fed(target: Target, seen: ImageSet) -> Iterator[tuple[str, Arrays]]:
    """What the network is given of some of the calibration images, one after the other, with their names."""
    names = seen.spread(CHECKED)
    with opened(target) as subject:
        for name, pixels in zip(names, seen.pixels(names), strict=True):
            if (arrays := subject.inputs(pixels)) is not None:
                yield name, arrays


def _check(
    target: Target, seen: ImageSet, content: bytes, progress: Callable[[str, int, int], None]
) -> dict[str, float]:
    """Figures against FP32 on some of the calibration images: 127 steps cannot be fitted to a picture."""
    output = target.spec.outputs[0]
    count = len(seen.spread(CHECKED))
    rows = {}
    exact = target.graph.SerializeToString()
    with opened(target) as subject, CpuBackend(exact) as fp32, CpuBackend(content) as int8:
        for name, arrays in _fed(target, seen):
            rows[name] = subject.figures(output, fp32.run(arrays), int8.run(arrays))
            progress("check", len(rows), count)
    if not rows:
        raise nothing_seen(target, count)
    return accuracy.summary(rows).figures
