"""Accuracy and speed of a network's precisions, side by side on one backend: what INT8 costs and what it brings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from trtkit.bench.rounds import Stopwatch, interleave, ratio
from trtkit.calib import accuracy, measured
from trtkit.calib.accuracy import Summary
from trtkit.calib.images import ImageSet
from trtkit.calib.standing import int8_form
from trtkit.calib.subject import Subject, nothing_seen, opened, rgb
from trtkit.calib.target import Target
from trtkit.config import Precision
from trtkit.errors import Mistake
from trtkit.evaluate.worst import picture_of
from trtkit.export.run import ensure
from trtkit.gpus import local_capabilities
from trtkit.models.imaging import encode
from trtkit.models.spec import TensorSpec
from trtkit.runtime import select
from trtkit.runtime.backend import Backend
from trtkit.runtime.select import Loaded

ROUNDS = 9
RUNS = {"cpu": 1}
"""Runs of a contender a round; elsewhere 20, since a GPU's run is over before a clock is steady."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """`summaries`: accuracy against FP32 of every other precision."""

    record: measured.Record
    summaries: dict[str, Summary]
    reference: str
    """Where FP32 ran."""
    unseen: list[str]
    """Images that show nothing for the network, and count for nothing."""


def evaluate(
    target: Target,
    precisions: Sequence[Precision],
    images: ImageSet,
    backend: str = select.AUTO,
    device: int = 0,
    batch: int = 1,
    progress: Progress = lambda what, done, total: None,
) -> Evaluation:
    """Run every precision over `images`, then against the clock; keep the record and the worst image's sheet.

    FP32 is the reference, on the same backend where it is one of `precisions`, else on the CPU. Raises Mistake with
    the command that makes a form that is missing.
    """
    for precision in ("fp32", *precisions):
        _ensure(target, precision)
    with ExitStack() as stack:
        loaded: dict[str, Loaded] = {}
        for precision in precisions:
            loaded[precision] = select.load(
                target.model,
                target.spec,
                target.root,
                backend,
                device=device,
                config=target.config,
                precision=precision,
            )
            stack.callback(loaded[precision].backend.close)
            # 'auto' is asked once: all precisions run on what it chose.
            backend = loaded[precision].backend.name
        reference = loaded.get("fp32")
        if reference is None:
            reference = select.load(target.model, target.spec, target.root, "cpu", precision="fp32")
            stack.callback(reference.backend.close)
        others = {name: one for name, one in loaded.items() if name != "fp32"}
        subject = stack.enter_context(opened(target))
        summaries, unseen = _accuracy(target, subject, reference.backend, others, images, progress)
        record = _timed(target, subject, loaded, images.without(unseen), summaries, device, batch, progress)
    measured.keep(target.evaluation, record)
    return Evaluation(record, summaries, reference.where, unseen)


def _ensure(target: Target, precision: Precision | str) -> None:
    if precision == "int8":
        int8_form(target)
    elif precision == "fp16":
        ensure(target.model, target.spec, "fp16", target.root, target.config)
    else:
        _ = target.exact


def _accuracy(
    target: Target,
    subject: Subject,
    reference: Backend,
    others: dict[str, Loaded],
    images: ImageSet,
    progress: Progress,
) -> tuple[dict[str, Summary], list[str]]:
    """(of each precision the summary of the output that differs most, since a network is as good as its worst answer;
    images that show nothing for it)."""
    outputs = _judged(target)
    rows: dict[str, dict[str, dict[str, dict[str, float]]]] = {
        name: {output.name: {} for output in outputs} for name in others
    }
    unseen: list[str] = []
    for number, (name, pixels) in enumerate(zip(images.hashes, images.pixels(), strict=True)):
        progress("images", number, len(images))
        arrays = subject.inputs(pixels)
        if arrays is None:
            unseen.append(name)
            continue
        wanted = reference.run(arrays)
        for precision, one in others.items():
            found = one.backend.run(arrays)
            for output in outputs:
                rows[precision][output.name][name] = subject.figures(output, wanted, found)
    progress("images", len(images), len(images))
    if len(unseen) == len(images):
        raise nothing_seen(target, len(images))
    summaries = {precision: _worst_of(of_outputs) for precision, of_outputs in rows.items()}
    if summaries and (outputs[0].channels is not None or subject.study is not None):
        _show_worst(target, subject, reference, others, images, summaries)
    return summaries, unseen


def _judged(target: Target) -> list[TensorSpec]:
    """Maps of numbers are judged as numbers, also where they mean colours."""
    outputs = target.spec.outputs
    return [replace(output, channels=None) if target.spec.relative else output for output in outputs]


def _worst_of(outputs: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Summary:
    """Outputs of several scales are compared by shares of their largest values."""
    summaries = [accuracy.summary(per_image) for per_image in outputs.values()]
    return max(summaries, key=lambda one: one.figures.get("mae_percent", one.figures["mae"]))


def _show_worst(
    target: Target,
    subject: Subject,
    reference: Backend,
    others: dict[str, Loaded],
    images: ImageSet,
    summaries: dict[str, Summary],
) -> None:
    """Write the sheet of the image that the least precise form does worst on."""
    last = max(summaries, key=lambda precision: float(np.mean(list(summaries[precision].per_image.values()))))
    name = summaries[last].worst
    arrays = subject.batch([images.open_one(name)])
    answers = {"fp32": reference.run(arrays)} | {name: one.backend.run(arrays) for name, one in others.items()}
    shown = {precision: subject.picture(answer) for precision, answer in answers.items()}
    source = target.spec.inputs[0]
    encode.write(target.worst_picture, picture_of(name, rgb(source, arrays[source.name][0]), shown, last))


def _timed(
    target: Target,
    subject: Subject,
    loaded: dict[str, Loaded],
    images: ImageSet,
    summaries: dict[str, Summary],
    device: int,
    batch: int,
    progress: Progress,
) -> measured.Record:
    arrays = subject.batch([images.open_one(name) for name in (list(images.hashes) * batch)[:batch]])
    first = next(iter(loaded.values())).backend
    runs = RUNS.get(first.name, 20)

    def contender(backend: Backend) -> Callable[[Stopwatch], None]:
        def step(watch: Stopwatch) -> None:
            with watch.stage("run"):
                for _ in range(runs):
                    backend.run(arrays)

        return step

    progress("speed", 0, 1)
    timings = interleave({name: contender(one.backend) for name, one in loaded.items()}, ROUNDS)
    progress("speed", 1, 1)
    speed = None
    if {"fp16", "int8"} <= timings.keys():
        found = ratio(timings["fp16"], timings["int8"])
        speed = measured.Speed(median=found.median, least=found.least, greatest=found.greatest)
    capabilities = local_capabilities() if first.name != "cpu" else ()
    return measured.Record(
        backend=first.name,
        device=first.device,
        capability=capabilities[device] if capabilities else None,
        images=len(images),
        shape=list(arrays[target.spec.inputs[0].name].shape),
        rounds=ROUNDS,
        forms={
            name: measured.Form(
                onnx_sha256=_onnx_of(one),
                figures=summaries[name].figures if name in summaries else {},
                seconds=timings[name].median / runs,
            )
            for name, one in loaded.items()
        },
        int8_over_fp16=speed,
    )


def _onnx_of(one: Loaded) -> str:
    record = one.manifest
    if record.kind == "onnx":
        return record.came_out.sha256
    if record.made_of.onnx_sha256 is None:
        raise Mistake(f"{one.path} does not say which ONNX it was built from; build it again with --force")
    return record.made_of.onnx_sha256
