"""`bench serve`: what the server costs over the pipeline alone, and what it makes of many clients.

Three processes: the pipeline alone and the measuring here, `trtkit serve` as a user starts it (twice, with batching and
with batches of one), and the load generator. One is at work at a time, and all take turns in the same rounds, so that
the ratios hold whatever else the machine does meanwhile.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import parse_qsl

import cv2
import numpy as np

from trtkit import config as configuration
from trtkit.bench.host import sample_photograph
from trtkit.bench.samples import Samples
from trtkit.bench.serve_alone import Alone, TimedBackend, own_throughput
from trtkit.bench.serve_load import Outcome, Spell
from trtkit.bench.serve_process import LoadGenerator, Server, serving
from trtkit.errors import Mistake
from trtkit.export.ready import Ready, ready
from trtkit.many_pictures import for_many_pictures
from trtkit.models.imaging.decode import decode_bytes
from trtkit.models.imaging.encode import encode
from trtkit.models.served import parse_options
from trtkit.runtime import select

ALONE, SERVER, UNBATCHED = "pipeline alone", "server", "server, batches of 1"
PICTURES = 4
"""Photographs that are sent in turn, no two of one size."""


@dataclass(frozen=True)
class Settings:
    """What to measure. `requests` and `seconds` bound each spell of load, whichever comes first; `lone` is how many
    requests one client makes a round; `edge` is the long side of the photographs; `query` holds the options as a
    request has them; `max_batch` stands in place of what engines.yaml says for the backend; `processes` are the
    servers'."""

    model: str = "cv_unet"
    backend: str = select.AUTO
    device: int = 0
    clients: int = 16
    requests: int = 64
    seconds: float = 10.0
    lone: int = 10
    rounds: int = 5
    max_batch: int | None = None
    edge: int = 1024
    photo: Path | None = None
    query: str = ""
    style: str | None = None
    weights: str | None = None
    root: Path = Path("artifacts")
    config: Path | None = None
    processes: int = 1


@dataclass
class Report:
    """`lone[contender]`: latencies of one client; `many[contender]`: pictures a second of each round with all clients;
    `own[batch]`: the same of the backend alone; `latency[contender]`: of each of many clients' requests.

    `host_share` is the part of one picture's time that is not the network's; `cores` the CPU seconds a second of the
    load generator and of the server while many clients asked; `batches[size]` how many runs the server did of it.
    """

    settings: Settings
    batch: int = 1
    device: str = ""
    host: str = ""
    pictures: list[tuple[int, int]] = field(default_factory=list)
    lone: dict[str, Samples] = field(default_factory=dict)
    many: dict[str, list[float]] = field(default_factory=dict)
    own: dict[int, list[float]] = field(default_factory=dict)
    latency: dict[str, Samples] = field(default_factory=dict)
    host_share: float = 0.0
    cores: dict[str, float] = field(default_factory=dict)
    batches: dict[int, int] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    ready_after: float = 0.0
    gpu_bytes: int = 0
    worst_difference: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def overhead(self) -> float:
        """Seconds that the median request of one client takes longer than the pipeline alone."""
        return self.lone[SERVER].p50 - self.lone[ALONE].p50

    @property
    def of_pipeline(self) -> float:
        """The server's throughput over the pipeline's own, the median of the rounds' ratios."""
        return _ratio(self.many[SERVER], self.many[ALONE])

    @property
    def gain(self) -> float:
        """What batching brings the server: its throughput over that with batches of one."""
        return _ratio(self.many[SERVER], self.many[UNBATCHED])

    @property
    def own_gain(self) -> float | None:
        """What the same batch brings the backend alone; None where it has no larger batch than 1."""
        return _ratio(self.own[self.batch], self.own[1]) if self.batch > 1 else None

    @property
    def mean_batch(self) -> float:
        return sum(size * runs for size, runs in self.batches.items()) / max(1, sum(self.batches.values()))


def bench_serve(settings: Settings) -> Report:
    """Measure. Raises Mistake for settings that cannot be, CheckFailed if a server or an answer fails, and whatever
    opening the model raises."""
    least = {"clients": 1, "processes": 1, "requests": 1, "lone": 1, "rounds": 1, "edge": 16}
    for name, low in least.items():
        if getattr(settings, name) < low:
            raise Mistake(f"--{name} is {getattr(settings, name)}; right would be at least {low}")
    if not settings.seconds > 0:
        raise Mistake(f"--seconds is {settings.seconds:g}; right would be more than 0")
    for_many_pictures()  # as the server does
    report = Report(settings)
    made = ready(
        settings.model,
        settings.style,
        settings.weights,
        settings.root,
        configuration.load(settings.config),
        publish=False,
    )
    options = parse_options(made.model.served, dict(parse_qsl(settings.query, True)), made.model.name)
    if made.model.several_files:
        raise Mistake(f"bench serve compares pictures, and {made.model.name} makes several files; name another model")
    pictures = photographs(settings)
    report.pictures = [decode_bytes(data, "the photograph", limit_megapixels=math.inf).size for data in pictures]
    with contextlib.ExitStack() as stack:
        alone = _open_alone(settings, made, options, report)
        stack.callback(alone.close)
        server = stack.enter_context(serving(_arguments(settings, report.batch)))
        unbatched = server if report.batch == 1 else stack.enter_context(serving(_arguments(settings, 1)))
        report.ready_after = server.ready_after
        load = stack.enter_context(LoadGenerator())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = []
        for number, data in enumerate(pictures):
            files.append(str(folder / f"{number}.jpg"))
            Path(files[-1]).write_bytes(data)
        bench = _Bench(settings, report, alone, pictures, files, server, unbatched, load)
        bench.compare_answers()
        bench.lone()
        bench.many()
    return report


def photographs(settings: Settings) -> list[bytes]:
    """JPEGs whose long side is `edge` at most, no two of one size. Raises Mistake for a --photo that is none."""
    if settings.photo is None:
        data, name = sample_photograph((1500, 2000)), "the photograph"
    else:
        name = str(settings.photo)
        try:
            data = settings.photo.read_bytes()
        except OSError as error:
            raise Mistake(f"--photo {name} cannot be read ({error.strerror or error})") from error
    rgb = decode_bytes(data, name).rgb
    scale = settings.edge / max(rgb.shape[:2])
    if scale < 1:
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    made = []
    for number in range(PICTURES):
        cut = number * max(1, min(rgb.shape[:2]) // 32)
        made.append(encode(np.ascontiguousarray(rgb[cut:, : rgb.shape[1] - cut // 2 or None]), ".jpg"))
    return made


def _open_alone(settings: Settings, made: Ready, options: dict[str, Any], report: Report) -> Alone:
    networks: dict[str, TimedBackend] = {}
    for spec in made.model.networks:
        loaded = select.load(made.model, spec, made.root, settings.backend, device=settings.device, config=made.config)
        networks[spec.name] = TimedBackend(loaded.backend)
        report.device = report.device or loaded.where
        report.notes += [loaded.why] if loaded.why else []
    first = made.model.networks[0]
    batching = made.config.network(made.model.name, first.name).batching
    report.batch = settings.max_batch or batching.largest(networks[first.name].name)
    report.host = f"{os.cpu_count()} cores"
    return Alone(made.model.open_pipeline(networks, options, math.inf), networks)


def _arguments(settings: Settings, batch: int) -> list[str]:
    given: dict[str, object] = {
        "--backend": settings.backend,
        "--device": settings.device,
        "--artifacts": settings.root,
        "--max-batch": batch,
        "--processes": settings.processes,
        "--queue": max(64, 2 * settings.clients),
        # It is the throughput that is asked for here: nothing is to be refused.
        "--time-limit": 120,
        "--max-megapixels": 1000,
        "--style": settings.style,
        "--weights": settings.weights,
        "--config": settings.config,
    }
    pairs = [(name, str(value)) for name, value in given.items() if value is not None]
    return [settings.model, *(word for pair in pairs for word in pair)]


@dataclass
class _Bench:
    """The measurements, once everything is open."""

    settings: Settings
    report: Report
    alone: Alone
    pictures: list[bytes]
    files: list[str]
    server: Server
    unbatched: Server
    load: LoadGenerator

    @property
    def path(self) -> str:
        return f"/v1/{self.settings.model}" + (f"?{self.settings.query}" if self.settings.query else "")

    def compare_answers(self) -> None:
        """A served picture is the pipeline's own, but for what a batch's other kernels round differently."""
        for data in self.pictures:
            ours, theirs = self.alone.one(data), self.server.picture(self.path, data)
            first, second = (
                np.asarray(cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_UNCHANGED), np.int16)
                for one in (ours, theirs)
            )
            self.report.worst_difference = max(self.report.worst_difference, int(np.abs(first - second).max()))

    def lone(self) -> None:
        """One client, in turns with the pipeline alone, which does the same pictures in the same order."""
        kept: dict[str, list[float]] = {ALONE: [], SERVER: []}
        network = whole = 0.0
        for number in range(self.settings.rounds + 1):
            before = self.alone.network_seconds
            seconds = []
            # The load generator counts its pictures down.
            for turn in reversed(range(self.settings.lone)):
                began = time.perf_counter()
                self.alone.one(self.pictures[turn % len(self.pictures)])
                seconds.append(time.perf_counter() - began)
            outcome = self.load.run(self._spell(self.server, 1, self.settings.lone))
            if number:
                kept[ALONE] += seconds
                kept[SERVER] += outcome.latencies
                network += self.alone.network_seconds - before
                whole += sum(seconds)
        self.report.lone = {name: Samples(tuple(found)) for name, found in kept.items()}
        self.report.host_share = 1 - network / whole

    def many(self) -> None:
        """All clients, in turns with the pipeline in batches, the server without them, and the backend alone."""
        report, settings = self.report, self.settings
        report.many = {ALONE: [], SERVER: [], UNBATCHED: []}
        latencies: dict[str, list[float]] = {SERVER: [], UNBATCHED: []}
        before: dict[str, float] = {}
        busy = generator = 0.0
        for number in range(settings.rounds + 1):
            if number == 1:
                before = self.server.metrics()
            alone = max(self._alone(batch) for batch in {1, report.batch})
            outcomes = self._spells(number)
            self._own(number)
            if not number:
                continue
            report.many[ALONE].append(alone)
            for name, outcome in outcomes.items():
                report.many[name].append(len(outcome.latencies) / outcome.wall)
                latencies[name] += outcome.latencies
            busy += outcomes[SERVER].wall
            generator += outcomes[SERVER].cpu
            for stage, seconds in outcomes[SERVER].stages.items():
                report.stages[stage] = report.stages.get(stage, 0.0) + seconds
        after = self.server.metrics()
        report.latency = {name: Samples(tuple(found)) for name, found in latencies.items()}
        report.cores = {
            "load generator": generator / busy,
            SERVER: (after["process_cpu_seconds_total"] - before["process_cpu_seconds_total"]) / busy,
        }
        report.batches = _runs_by_size(before, after)
        report.gpu_bytes = int(max((v for k, v in after.items() if k.startswith("nv_gpu_memory_used")), default=0))

    def _alone(self, batch: int) -> float:
        return self.alone.batched(self.pictures, self.settings.requests, self.settings.seconds, batch)

    def _spells(self, number: int) -> dict[str, Outcome]:
        """A spell of each server; every second round the other way round."""
        servers = {SERVER: self.server, UNBATCHED: self.unbatched}
        if self.unbatched is self.server:
            outcome = self.load.run(self._spell(self.server, self.settings.clients, self.settings.requests))
            return {SERVER: outcome, UNBATCHED: outcome}
        names = list(servers) if number % 2 else list(reversed(servers))
        return {
            name: self.load.run(self._spell(servers[name], self.settings.clients, self.settings.requests))
            for name in names
        }

    def _own(self, number: int) -> None:
        """The backend alone on what the pipeline gave its first network last, in batches of one and full ones."""
        network = next(iter(self.alone.networks.values()))
        batches = sorted({1, self.report.batch})
        for batch in batches if number % 2 else reversed(batches):
            found = own_throughput(network, network.last, batch, self.settings.requests, self.settings.seconds)
            if number:
                self.report.own.setdefault(batch, []).append(found)

    def _spell(self, server: Server, clients: int, requests: int) -> Spell:
        return Spell(server.port, self.path, tuple(self.files), clients, requests, self.settings.seconds)


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def _runs_by_size(before: dict[str, float], after: dict[str, float]) -> dict[int, int]:
    """Runs of each batch size between two readings of /metrics, all networks together."""
    runs: dict[int, int] = {}
    below: dict[str, float] = {}
    for name, value in after.items():
        found = re.fullmatch(r'trtkit_batch_size_bucket\{le="([\d.]+)",model="(.+)"\}', name)
        if found:
            total = value - before.get(name, 0.0)
            count = int(total - below.get(found[2], 0.0))
            below[found[2]] = total
            if count:
                runs[int(float(found[1]))] = runs.get(int(float(found[1])), 0) + count
    return runs


def as_dict(report: Report) -> dict[str, Any]:
    """The report as JSON-able values; seconds, bytes, pictures a second and plain ratios, ratios first."""

    def percentiles(samples: Samples) -> dict[str, float]:
        return {f"p{p}": samples.percentile(p) for p in (50, 90, 99)}

    return {
        "settings": {
            key: str(value) if isinstance(value, Path) else value for key, value in vars(report.settings).items()
        },
        "device": report.device,
        "host": report.host,
        "overhead_seconds_p50": report.overhead,
        "server_over_pipeline": report.of_pipeline,
        "gain_from_batching": {"server": report.gain, "backend_alone": report.own_gain},
        "host_share_of_a_picture": report.host_share,
        "batch": {
            "largest": report.batch,
            "mean": report.mean_batch,
            "runs_by_size": {str(size): runs for size, runs in report.batches.items()},
        },
        "cores": report.cores,
        "one_client": {name: percentiles(samples) for name, samples in report.lone.items()},
        "many_clients": {name: percentiles(samples) for name, samples in report.latency.items()},
        "pictures_a_second": report.many,
        "pictures_a_second_of_the_backend_alone": {str(batch): found for batch, found in report.own.items()},
        "server_stages_seconds": report.stages,
        "ready_after_seconds": report.ready_after,
        "gpu_bytes_in_use": report.gpu_bytes,
        "worst_difference": report.worst_difference,
        "pictures": [list(size) for size in report.pictures],
        "notes": report.notes,
    }
