"""`bench run`: latency and throughput of a model's first network, and of whole files, beside what else one would use.

All contenders of a batch size take turns in the same rounds of one process. Ratios come first; absolute times are
only worth something with the name of the device beside them.
"""

from __future__ import annotations

import contextlib
import math
import platform
import tempfile
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
from trtkit.bench.files import FileRun, copies_of, through_pipeline, through_recipe
from trtkit.bench.host import sample_photograph
from trtkit.bench.samples import Samples, burst, sample
from trtkit.bench.torch_peers import open_torch
from trtkit.errors import Mistake, TrtkitError
from trtkit.models.imaging.decode import decode, decode_bytes
from trtkit.models.spec import Model
from trtkit.runtime import select
from trtkit.runtime.gpu import GpuBackend
from trtkit.runtime.slots import STAGES

PICTURES = 8
"""Files of a file-to-file run."""


@dataclass(frozen=True)
class Settings:
    """What to measure. `weights`: the checkpoint for the PyTorch peers; `size`: side of the network's input;
    `no_faces`: dct_net's files are done without the head network, as the articles' recipe does them."""

    model: str = "cv_unet"
    backend: str = select.AUTO
    device: int = 0
    batches: tuple[int, ...] = (1, 2, 4, 8)
    slots: int = 3
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
    images a second; `files[contender]`."""

    settings: Settings
    network: str = ""
    device: str = ""
    artifact: str = ""
    steps: dict[int, dict[str, Samples]] = field(default_factory=dict)
    throughput: dict[int, dict[int, float]] = field(default_factory=dict)
    alone: dict[int, float] = field(default_factory=dict)
    stages: dict[int, dict[str, float]] = field(default_factory=dict)
    files: dict[str, FileRun] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    peak_memory: int = 0
    agreement: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def bench_run(settings: Settings) -> Report:
    """Measure. Raises Mistake for settings that cannot be, and whatever opening the backend raises."""
    _check(settings)
    model = models.get(settings.model)
    report = Report(settings)
    memory = _Memory(settings.device)
    with memory:
        before = memory.used()
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
        first = loaded[model.networks[0].name]
        backend = first.backend
        try:
            report.device, report.artifact = f"{first.where}; host: {_cpu()}", str(first.path)
            report.notes += [first.why] if first.why else []
            gpu = isinstance(backend, GpuBackend)
            shapes = {name: array.shape[1:] for name, array in _inputs(settings, model, 1).items()}
            report.network = f"{model.networks[0].name}, " + ", ".join(
                f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items()
            )
            _warm(settings, backend, model)
            report.memory[OURS] = memory.used() - before
            peers = _open_peers(settings, model, first.path, gpu, report, memory)
            _steps(settings, model, backend, peers, report, memory)
            _throughput(settings, model, backend, report)
            try:
                _files(settings, model, loaded, peers, report)
            except TrtkitError as error:  # the figures so far stand for themselves
                report.notes.append(f"file to file is left out: {error}")
            report.peak_memory = max(report.peak_memory, memory.used() - before)
            report.notes += first.notes
        finally:
            for one in loaded.values():
                one.backend.close()
    return report


def _check(settings: Settings) -> None:
    """Raises Mistake for what cannot be, before anything is loaded."""
    if settings.rounds < 1 or settings.each < 1 or not settings.batches or min(settings.batches) < 1:
        raise Mistake("--rounds, --each and --batch must each be at least 1")
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


def _inputs(settings: Settings, model: Model, batch: int) -> dict[str, np.ndarray]:
    """A batch of crops of a photograph, no two alike: zeros run faster than pictures."""
    photo = decode_bytes(_photo(settings), "the photograph", limit_megapixels=math.inf).rgb
    shifts = np.random.default_rng(batch).integers(0, 64, (batch, 2))
    crops = [photo[y : y - 64 or None, x : x - 64 or None] for y, x in shifts]
    found: dict[str, np.ndarray] = model.sample_inputs(model.networks[0].name, crops, (settings.size, settings.size))
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def _photo(settings: Settings) -> bytes:
    return settings.photo.read_bytes() if settings.photo else sample_photograph((1500, 2000))


def _warm(settings: Settings, backend: Any, model: Model) -> None:
    for batch in settings.batches:
        arrays = _inputs(settings, model, batch)
        if isinstance(backend, GpuBackend):
            backend.warm_up({name: array.shape for name, array in arrays.items()})
        else:
            backend.run(arrays)


def _open_peers(
    settings: Settings, model: Model, onnx: Path, gpu: bool, report: Report, memory: _Memory
) -> dict[str, Step]:
    """Name → one step. What it holds on the GPU once it is warm goes into the report."""
    if not settings.peers:
        return {}
    spec = model.networks[0]
    peers: dict[str, Step] = {}

    def add(found: dict[str, Step]) -> None:
        for name, step in found.items():
            before = memory.used()
            try:
                for batch in settings.batches:
                    step(_inputs(settings, model, batch))
            except Exception as error:  # another's code, and the measurement goes on without it
                report.notes.append(f"{name} is left out, it fails: {' '.join(str(error).split())[:200]}")
                continue
            report.memory[name] = memory.used() - before
            peers[name] = step

    add({PLAIN: ways.open_plain(onnx, gpu)})
    if gpu:
        add({RECIPE: ways.open_recipe(onnx, settings.device, spec, memory.context)})
    weights = settings.weights or model.embedded_dir / f"{spec.name}.safetensors"
    if settings.weights or weights.is_file():
        add(open_torch(model, spec, weights, gpu, settings.compiled))
    return peers


def _steps(
    settings: Settings,
    model: Model,
    backend: Any,
    peers: dict[str, Step],
    report: Report,
    memory: _Memory,
) -> None:
    for batch in settings.batches:
        arrays = _inputs(settings, model, batch)
        name = model.networks[0].outputs[0].name
        reference = backend.run(arrays)[name].astype(np.float64)
        for peer, step in peers.items():
            worst = float(np.abs(step(arrays)[name] - reference).max())
            report.agreement[peer] = max(worst, report.agreement.get(peer, 0.0))
        racers = ways.ours(backend, arrays)
        racers |= {peer: burst(partial(step, arrays)) for peer, step in peers.items()}
        report.steps[batch] = sample(racers, settings.rounds, settings.each)
        del racers  # its lease holds a slot
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


def _throughput(settings: Settings, model: Model, backend: Any, report: Report) -> None:
    """Images a second with one, and with all slots busy; and what running alone would give, in the same rounds."""
    for batch in settings.batches:
        arrays = _inputs(settings, model, batch)
        shapes = {name: array.shape for name, array in arrays.items()}
        counts = (1, settings.slots) if settings.slots > 1 else (1,)
        requests = max(settings.each, 3 * settings.slots)
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


def _files(settings: Settings, model: Model, loaded: dict[str, Any], peers: dict[str, Step], report: Report) -> None:
    if model.several_files:
        raise Mistake(f"{model.name} makes several files of a picture with a face, which nothing else here does")
    photo = _photo(settings)
    options = {"no_faces": True} if settings.no_faces else {}
    pipeline = model.open_pipeline({name: one.backend for name, one in loaded.items()}, options, math.inf)
    recipe = peers.get(RECIPE) or peers.get(PLAIN)
    bgr = model.networks[0].inputs[0].channels == "BGR"
    count = PICTURES if settings.rounds > 1 else 2
    with tempfile.TemporaryDirectory() as folder:
        ours: list[FileRun] = []
        theirs: list[FileRun] = []
        for _ in range(3 if settings.rounds > 1 else 1):
            jobs = copies_of(photo, Path(folder), count, "ours")
            ours.append(through_pipeline(pipeline, jobs, max(settings.batches)))
            if recipe is not None:
                jobs = copies_of(photo, Path(folder), count, "recipe")
                theirs.append(through_recipe(recipe, jobs, settings.size, bgr))
    report.files[OURS] = sorted(ours, key=lambda run: run.seconds)[len(ours) // 2]
    if theirs:
        report.files[RECIPE] = sorted(theirs, key=lambda run: run.seconds)[len(theirs) // 2]


class _Memory(contextlib.AbstractContextManager["_Memory"]):
    """The GPU's used bytes, through a context of the calling thread; always 0 where there is no GPU or pycuda."""

    def __init__(self, ordinal: int) -> None:
        from trtkit.runtime import machine

        self._ordinal = ordinal
        self._here = machine.lacks(ordinal, "pycuda") is None
        self.context: Any = None

    def __enter__(self) -> _Memory:
        if self._here:
            from trtkit.runtime.pycuda_api import driver

            self._drv = driver()
            self.context = self._drv.Device(self._ordinal).retain_primary_context()
            self.context.push()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.context is not None:
            self.context.pop()
            self.context.detach()
            self.context = None

    def used(self) -> int:
        if self.context is None:
            return 0
        free, total = self._drv.mem_get_info()
        return int(total - free)


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
    return {
        "settings": {
            key: str(value) if isinstance(value, Path) else value for key, value in vars(report.settings).items()
        },
        "device": report.device,
        "artifact": Path(report.artifact).name,
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
        "files": {name: {"seconds": run.seconds, "stages": run.stages} for name, run in report.files.items()},
        "gpu_bytes_taken": report.memory,
        "gpu_bytes_peak": report.peak_memory,
        "worst_difference": report.agreement,
        "notes": report.notes,
    }
