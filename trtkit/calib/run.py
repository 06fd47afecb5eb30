"""Images → scales → the Q/DQ ONNX: made once for one content, reused while nothing has changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trtkit.calib import collect, form, images, judge, key, placement, scales, sensitivity, thresholds
from trtkit.calib.images import ImageSet
from trtkit.calib.scales import Scales, TensorRange
from trtkit.calib.sensitivity import LayerCost
from trtkit.calib.standing import check_quantized
from trtkit.calib.subject import Subject, nothing_seen, opened
from trtkit.calib.target import Target
from trtkit.config import Method
from trtkit.errors import CheckFailed, Mistake
from trtkit.manifest import Manifest

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much."""


@dataclass(frozen=True)
class Wish:
    """What the user asked for. `method`: None for what engines.yaml says. `keep_worst`: how many of the dearest
    convolutions stay FP16, beside those that engines.yaml names."""

    images: Path | None = None
    method: Method | None = None
    limit: int | None = None
    force: bool = False
    keep_worst: int = 0
    sensitivity: bool = False


@dataclass(frozen=True)
class Calibrated:
    """`reason`: why the scales were made (again), None if they were reused. `unseen`: names of the
    images that show nothing for the network. `costs`: dearest first, where asked for.
    `excesses`: what passes its tolerance, a phrase each."""

    scales: Scales
    reason: str | None
    unseen: list[str]
    manifest: Manifest
    costs: list[LayerCost] | None
    worst: list[str]
    excesses: list[str]
    seconds: float


def calibrate(target: Target, wish: Wish, progress: Progress = lambda what, done, total: None) -> Calibrated:
    """Calibrate one network and write its scales and Q/DQ ONNX.

    Raises Mistake for images, a block list or a disk that will not do, and CheckFailed if no finite scale comes of
    it; no scales are written then.
    """
    began = time.perf_counter()
    check_quantized(target)
    chosen = _images(target, wish)
    onnx_sha256 = target.exact.manifest.came_out.sha256
    method = wish.method or target.settings.int8.method
    before = {name: exported.manifest.came_out.sha256 for name, exported in target.before.items()}
    wanted = key.key_of(target.model, target.spec, onnx_sha256, chosen.hashes, target.size, method, before)
    if wish.keep_worst:
        _check_enough(target, wish.keep_worst)
    found, scales_sha256, reason = _reusable(target.scales, wanted, wish.force)
    if found is None:
        found = _measure(target, chosen, wanted, method, progress)
        # Of what was written, not of what lies there: another calibration may write the same file meanwhile.
        scales_sha256 = scales.write(target.scales, found)
    unseen = chosen.named(found.unseen)
    seen = chosen.without(unseen)
    costs = None
    worst: list[str] = []
    if wish.sensitivity or wish.keep_worst:
        costs = _costs(target, seen, found, scales_sha256, progress)
        open_to_int8 = _quantizable(target)
        worst = [cost.name for cost in costs if cost.name in open_to_int8][: wish.keep_worst]
    made = form.make(target, seen, found, scales_sha256, worst, wish.force, progress)
    figures = made.came_out.checks["against_fp32"]
    excesses = judge.excesses(figures, target.settings, target.spec)
    return Calibrated(found, reason, unseen, made, costs, worst, excesses, time.perf_counter() - began)


def _images(target: Target, wish: Wish) -> ImageSet:
    if wish.images is not None:
        return images.from_folder(wish.images, wish.limit)
    kind = target.exact.manifest.made_of.weights.kind
    if kind != "embedded":
        raise Mistake(
            f"--images is missing: {target.name} has weights of kind '{kind}', and the drawn set is for the embedded "
            f"ones alone; right would be: {target.calibrate_command}"
        )
    return images.drawn(wish.limit, target.studied.draw if target.studied is not None else None)


def _quantizable(target: Target) -> tuple[str, ...]:
    """The convolutions that engines.yaml leaves to INT8."""
    return placement.place(target.graph, target.blocked).convolutions


def _check_enough(target: Target, keep_worst: int) -> None:
    """Before anything is measured. Raises Mistake, naming the option, if no convolution would be left."""
    count = len(_quantizable(target))
    if keep_worst >= count:
        raise Mistake(
            f"--keep-fp16 {keep_worst} leaves {target.name} no convolution in INT8, of {count} that could be; right "
            f"would be at most {count - 1}"
        )


def _reusable(path: Path, wanted: key.Key, force: bool) -> tuple[Scales | None, str, str | None]:
    """(the scales at `path`, the file's sha256, None) if they are those of the key, else (None, '', why not)."""
    if not path.is_file():
        return None, "", "there were no scales"
    if force:
        return None, "", "--force"
    try:
        found, digest = scales.read_with_digest(path)
    except CheckFailed as error:
        return None, "", str(error)
    reason = key.why_not_same(found.key, wanted)
    return (found, digest, None) if reason is None else (None, "", reason)


def _measure(target: Target, chosen: ImageSet, wanted: key.Key, method: Method, progress: Progress) -> Scales:
    tensors = placement.measurable(target.equalized)
    flat = 0
    unseen: list[str] = []

    def batches(subject: Subject) -> Iterator[dict[str, np.ndarray]]:
        nonlocal flat
        for number, (name, pixels) in enumerate(zip(chosen.hashes, chosen.pixels(), strict=True)):
            flat += int(pixels.min() == pixels.max())
            arrays = subject.inputs(pixels)
            if arrays is None:
                unseen.append(chosen.hashes[name])
            else:
                yield arrays
            progress("images", number + 1, len(chosen))
        if flat == len(chosen):
            raise Mistake(
                "--images holds only pictures of a single colour (all black, say), which have no range to make "
                "scales of; name photographs like those the network is for"
            )
        if len(unseen) == len(chosen):
            raise nothing_seen(target, len(chosen))

    with opened(target) as subject:
        histograms = collect.collect(target.equalized, tensors, batches(subject))
    found = {}
    for number, (name, histogram) in enumerate(histograms.items()):
        found[name] = TensorRange(peak=histogram.peak, limit=thresholds.limit(histogram, method))
        progress("thresholds", number + 1, len(histograms))
    return Scales(
        model=target.model.name,
        network=target.spec.name,
        image_source=chosen.source,
        key=wanted,
        unseen=unseen,
        tensors=found,
    )


def _costs(target: Target, seen: ImageSet, found: Scales, scales_sha256: str, progress: Progress) -> list[LayerCost]:
    if (kept := sensitivity.read(target.costs, scales_sha256)) is not None:
        return kept
    layers = [node.name for node in placement.candidates(target.graph)]
    names = seen.spread(sensitivity.IMAGES)
    done: list[str] = []

    def step(layer: str) -> None:
        done.append(layer)
        progress("layers", len(done), len(layers))

    with opened(target) as subject:
        fed = [subject.inputs(one) for one in seen.pixels(names)]
        batches = [arrays for arrays in fed if arrays is not None]
        costs = sensitivity.measure(target.equalized, layers, found.limits, batches, subject.cost, step)
    sensitivity.write(target.costs, scales_sha256, costs)
    return costs
