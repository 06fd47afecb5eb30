"""`bench run`: latency and throughput of a model's first network, and of whole files, beside what else one would use.

All contenders of a batch size take turns in the same rounds of one process. Ratios come first; absolute times are
only worth something with the name of the device beside them.
"""

from __future__ import annotations

import contextlib
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trtkit import models
from trtkit.bench import contenders as ways
from trtkit.bench.contenders import ALONE, IN_PLACE, OURS, PLAIN, RECIPE, Step
from trtkit.bench.gpu_memory import UsedMemory
from trtkit.bench.host import sample_photograph
from trtkit.bench.peers import check_weights, open_peers
from trtkit.bench.samples import Samples, burst, sample
from trtkit.bench.whole_files import WholeFiles, has_option, measure_files
from trtkit.errors import Mistake, TrtkitError
from trtkit.export.ready import check_one_set
from trtkit.models.imaging.decode import decode, decode_bytes
from trtkit.models.spec import GREY, Model
from trtkit.runtime import select
from trtkit.runtime.gpu import DEFAULT_SLOTS, GpuBackend
from trtkit.runtime.select import Loaded
from trtkit.runtime.shapes import profile_of
from trtkit.runtime.slots import STAGES

BATCHES = (1, 2, 4, 8)
"""What is measured where no batch size is named, as far as the network's profiles admit it."""
Batches = dict[int, dict[str, np.ndarray]]
"""Batch size → the network's inputs."""


@dataclass(frozen=True)
class Settings:
    """What to measure. `batches`: None for BATCHES; `weights`: the checkpoint for the PyTorch peers; `size`: side of
    the network's input; `no_faces`: dct_net's files are done without the head network, as the articles' recipe does
    them."""

    model: str = "cv_unet"
    backend: str = select.AUTO
    device: int = 0
    batches: tuple[int, ...] | None = None
    slots: int = DEFAULT_SLOTS
    size: int = 512
    rounds: int = 10
    each: int = 10
    photo: Path | None = None
    root: Path = Path("artifacts")
    weights: Path | None = None
    peers: bool = True
    compiled: bool = True
    no_faces: bool = False


@dataclass
class Report:
    """`network`: its name and the shapes of what it is given; `steps[batch][contender]`; `throughput[batch][slots]` in
    images a second; `batches`: those that were measured; `agreement`: each peer's worst difference from ours, in
    `unit`."""

    settings: Settings
    batches: tuple[int, ...] = ()
    network: str = ""
    device: str = ""
    artifact: str = ""
    steps: dict[int, dict[str, Samples]] = field(default_factory=dict)
    throughput: dict[int, dict[int, float]] = field(default_factory=dict)
    alone: dict[int, float] = field(default_factory=dict)
    stages: dict[int, dict[str, float]] = field(default_factory=dict)
    files: WholeFiles | None = None
    memory: dict[str, int] = field(default_factory=dict)
    peak_memory: int = 0
    agreement: dict[str, float] = field(default_factory=dict)
    unit: str = GREY
    notes: list[str] = field(default_factory=list)


def bench_run(settings: Settings) -> Report:
    """Measure. Raises Mistake for settings that cannot be, and whatever opening the backend raises."""
    model = models.get(settings.model)
    _check(settings, model)
    check_one_set(model, settings.root)
    report = Report(settings)
    memory = UsedMemory(settings.device)
    with memory:
        loaded = {
            spec.name: select.load(
                model,
                spec,
                settings.root,
                settings.backend,
                device=settings.device,
                slots=settings.slots,
            )
            for spec in model.networks
        }
        try:
            _measure(settings, model, loaded, memory, report)
            report.peak_memory = max(report.peak_memory, memory.used())
            report.notes += loaded[model.networks[0].name].notes
        finally:
            for one in loaded.values():
                one.backend.close()
    return report


def _measure(settings: Settings, model: Model, loaded: dict[str, Loaded], memory: UsedMemory, report: Report) -> None:
    first = loaded[model.networks[0].name]
    backend = first.backend
    report.device, report.artifact = f"{first.where}; host: {_cpu()}", str(first.path)
    report.notes += [first.why] if first.why else []
    check_weights(settings, model, first)
    report.batches = _admitted(settings, model, backend, report.notes)
    batches = {batch: _inputs(settings, model, batch) for batch in report.batches}
    report.network = f"{model.networks[0].name}, " + ", ".join(
        f"{name} {'x'.join(map(str, array.shape[1:]))}" for name, array in next(iter(batches.values())).items()
    )
    _warm(backend, batches)
    report.memory[OURS] = memory.used()
    peers = open_peers(settings, model, first, batches, memory)
    report.memory |= peers.memory
    report.agreement = peers.agreement
    report.unit = "output units" if model.networks[0].relative else model.networks[0].unit
    report.notes += peers.notes
    _steps(settings, backend, batches, peers.steps, report, memory)
    _throughput(settings, backend, batches, report)
    # On the CPU the articles' way is ONNX Runtime between Pillow's two ends.
    recipe = peers.steps.get(RECIPE if isinstance(backend, GpuBackend) else PLAIN)
    networks = {name: one.backend for name, one in loaded.items()}
    try:
        report.files = measure_files(
            settings, model, networks, recipe, _photo(settings), max(report.batches), report.notes
        )
    except TrtkitError as error:  # the figures so far stand for themselves
        report.notes.append(f"file to file is left out: {error}")


def _check(settings: Settings, model: Model) -> None:
    """Raises Mistake for what cannot be, before anything is loaded."""
    batches = BATCHES if settings.batches is None else settings.batches
    if settings.rounds < 1 or settings.each < 1 or not batches or min(batches) < 1:
        raise Mistake("--rounds, --each and --batch must each be at least 1")
    if settings.no_faces and not has_option(model, "no_faces"):
        raise Mistake(f"--no-faces is not an option of {model.name}, which has no network for heads; leave it out")
    if settings.photo is not None:
        height, width = decode(settings.photo, limit_megapixels=math.inf).size
        if min(height, width) < 128:
            raise Mistake(f"--photo {settings.photo} is {width}x{height}; give one of at least 128x128")
    if settings.weights is None:
        return
    if not settings.peers:
        raise Mistake("--weights and --no-peers exclude each other: the weights are for the PyTorch peers")
    if not settings.weights.exists():
        raise Mistake(f"--weights {settings.weights} does not exist; give a checkpoint, or leave it out")


def _admitted(settings: Settings, model: Model, backend: Any, notes: list[str]) -> tuple[int, ...]:
    """The batch sizes to measure. Raises Mistake where one that was named cannot be, or none can."""
    if not isinstance(backend, GpuBackend) and settings.slots != DEFAULT_SLOTS:
        notes.append("--slots changes nothing on the CPU, which runs one request at a time")
    refused = {batch: _refusal(settings, model, backend, batch) for batch in settings.batches or BATCHES}
    admitted = tuple(batch for batch, why in refused.items() if why is None)
    for batch, why in refused.items():
        if why is not None and settings.batches is not None:
            raise Mistake(f"--batch {batch} with --size {settings.size}: {why}")
        if why is not None and not admitted:
            raise Mistake(f"--size {settings.size}: {why}")
        if why is not None:
            notes.append(f"batch {batch} is left out: {why}")
    return admitted


def _refusal(settings: Settings, model: Model, backend: Any, batch: int) -> str | None:
    """Why the backend takes no batch of that size; None if it does."""
    if not backend.profiles:
        return None
    try:
        profile_of(backend.profiles, {name: one.shape for name, one in _inputs(settings, model, batch).items()})
    except Mistake as error:
        return str(error)
    return None


def _inputs(settings: Settings, model: Model, batch: int) -> dict[str, np.ndarray]:
    """A batch of crops of a photograph, no two alike: zeros run faster than pictures."""
    photo = decode_bytes(_photo(settings), "the photograph", limit_megapixels=math.inf).rgb
    shifts = np.random.default_rng(batch).integers(0, 64, (batch, 2))
    crops = [photo[y : y - 64 or None, x : x - 64 or None] for y, x in shifts]
    found: dict[str, np.ndarray] = model.sample_inputs(model.networks[0].name, crops, (settings.size, settings.size))
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def _photo(settings: Settings) -> bytes:
    return settings.photo.read_bytes() if settings.photo else sample_photograph((1500, 2000))


def _warm(backend: Any, batches: Batches) -> None:
    for arrays in batches.values():
        if isinstance(backend, GpuBackend):
            backend.warm_up({name: array.shape for name, array in arrays.items()})
        else:
            backend.run(arrays)


def _steps(
    settings: Settings, backend: Any, batches: Batches, peers: dict[str, Step], report: Report, memory: UsedMemory
) -> None:
    for batch, arrays in batches.items():
        racers = ways.ours(backend, arrays)
        racers |= {peer: burst(partial(step, arrays)) for peer, step in peers.items()}
        report.steps[batch] = sample(racers, settings.rounds, settings.each)
        if isinstance(backend, GpuBackend):
            report.stages[batch] = _stages(backend, arrays)
        report.peak_memory = max(report.peak_memory, memory.used())


def _stages(backend: GpuBackend, arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """Median seconds of each stage on the GPU, in a pass of its own: its marks are not free."""
    times: list[dict[str, float]] = []
    backend.on_stages = times.append
    for _ in range(20):
        backend.run(arrays)
    backend.on_stages = None
    return {stage: float(np.median([one[stage] for one in times])) / 1e3 for stage in STAGES}


def _throughput(settings: Settings, backend: Any, batches: Batches, report: Report) -> None:
    """Images a second with one, and with all slots busy; and what running alone would give, in the same rounds."""
    slots = backend.slots if isinstance(backend, GpuBackend) else 1
    for batch, arrays in batches.items():
        shapes = {name: array.shape for name, array in arrays.items()}
        counts = (1, slots) if slots > 1 else (1,)
        requests = max(settings.each, 3 * slots)
        kept: dict[int, list[float]] = {count: [] for count in counts}
        alone: list[float] = []
        for number in range(settings.rounds + 1):
            for count in counts:
                began = time.perf_counter()
                # One more than there are slots: the next request is at hand when a slot comes free.
                ways.pipelined(backend, arrays, requests, count + 1 if count > 1 else 1)
                spent = time.perf_counter() - began
                if number:
                    kept[count].append(requests * batch / spent)
            if isinstance(backend, GpuBackend):
                seconds = backend.time_alone(shapes, requests)
                if number:
                    alone.append(requests * batch / sum(seconds))
        report.throughput[batch] = {count: float(np.median(found)) for count, found in kept.items()}
        if alone:
            report.alone[batch] = float(np.median(alone))


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in _lines(Path("/proc/cpuinfo")):
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8", errors="replace") as stream:
        yield from stream


def speedups(report: Report, batch: int) -> dict[str, float]:
    """Contender → its median latency over ours: what the table and the chart put first."""
    found = report.steps[batch]
    return {name: samples.p50 / found[OURS].p50 for name, samples in found.items() if name not in (OURS, ALONE)}


def as_dict(report: Report) -> dict[str, Any]:
    """The report as JSON-able values; seconds, bytes, images a second and plain ratios."""
    files = report.files
    return {
        "settings": {
            key: str(value) if isinstance(value, Path) else value
            for key, value in (vars(report.settings) | {"batches": report.batches}).items()
        },
        "device": report.device,
        "artifact": Path(report.artifact).name,
        "recipe_over_ours_files": vars(files.recipe_over_ours) if files and files.recipe_over_ours else None,
        "step_over_ours": {str(batch): speedups(report, batch) for batch in report.steps},
        "whole_step_over_run_alone": {
            str(batch): {name: found[name].p50 / found[ALONE].p50 for name in (OURS, IN_PLACE)}
            for batch, found in report.steps.items()
            if ALONE in found
        },
        "throughput_of_run_alone": {
            str(batch): {str(count): value / report.alone[batch] for count, value in report.throughput[batch].items()}
            for batch in report.alone
        },
        "steps": {
            str(batch): {
                name: {f"p{p}": samples.percentile(p) for p in (50, 90, 99)} | {"jitter": samples.jitter}
                for name, samples in found.items()
            }
            for batch, found in report.steps.items()
        },
        "images_a_second": {
            str(batch): {str(k): v for k, v in found.items()} for batch, found in report.throughput.items()
        },
        "images_a_second_alone": {str(batch): value for batch, value in report.alone.items()},
        "gpu_stages": {str(batch): found for batch, found in report.stages.items()},
        "files_taken": files.taken if files else None,
        "files": {
            name: {"seconds": run.seconds, "stages": run.stages} for name, run in (files.runs if files else {}).items()
        },
        "gpu_bytes_taken": report.memory,
        "gpu_bytes_peak": report.peak_memory,
        "worst_difference": report.agreement,
        "notes": report.notes,
    }
