"""/metrics: the server's counts in Prometheus' text form, under Triton's names where Triton has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from trtkit.optional import need
from trtkit.serve.answers import answer
from trtkit.serve.gpu_memory import gpu_memory
from trtkit.serve.names import network_name
from trtkit.serve.network import Network
from trtkit.serve.service import Service
from trtkit.serve.totals import Totals

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_TRITON: dict[str, tuple[str, Callable[[Network], int]]] = {
    "nv_inference_request_success": ("Requests a network answered", lambda b: b.counts.success),
    "nv_inference_request_failure": ("Requests a network failed", lambda b: b.counts.failure),
    "nv_inference_count": ("Pictures run, batches counted by their size", lambda b: b.counts.rows),
    "nv_inference_exec_count": ("Runs of the backend", lambda b: b.counts.runs),
    "nv_inference_request_duration_us": (
        "Microseconds of requests, queue included",
        lambda b: b.counts.total_ns // 1000,
    ),
    "nv_inference_queue_duration_us": ("Microseconds of requests in the queue", lambda b: b.counts.queue_ns // 1000),
    "nv_inference_compute_infer_duration_us": (
        "Microseconds of requests in a run",
        lambda b: b.counts.infer_ns // 1000,
    ),
    "nv_inference_pending_request_count": ("Requests that wait for a run", lambda b: b.depth),
}
"""Triton's names have no _total, so they are written as they are: dashboards made for Triton go on working."""


class Collector:
    """Reads the counts when Prometheus asks; nothing is counted twice."""

    def __init__(self, service: Service, totals: Totals) -> None:
        self._service, self._totals = service, totals

    def collect(self) -> Iterator[Any]:
        core = need("prometheus_client.core", "/metrics")
        networks = [
            (network_name(served.model.folder, network), batcher)
            for served in self._service.models.values()
            for network, batcher in served.networks.items()
        ]
        for metric, (title, value) in _TRITON.items():
            family = core.GaugeMetricFamily(metric, title, labels=["model", "version"])
            for name, batcher in networks:
                family.add_metric([name, "1"], value(batcher))
            yield family
        yield from self._batches(core, networks)
        yield from self._server(core)
        used = core.GaugeMetricFamily("nv_gpu_memory_used_bytes", "Memory in use on the GPU", labels=["gpu"])
        total = core.GaugeMetricFamily("nv_gpu_memory_total_bytes", "Memory of the GPU", labels=["gpu"])
        for number, (taken, whole) in enumerate(gpu_memory()):
            used.add_metric([str(number)], taken)
            total.add_metric([str(number)], whole)
        yield from (used, total)
        for name, amount in (self._totals.process or {}).items():
            figure = core.CounterMetricFamily if name.endswith("_total") else core.GaugeMetricFamily
            yield figure(name, "Of all processes of the server together", value=amount)

    def _batches(self, core: Any, networks: list[tuple[str, Network]]) -> Iterator[Any]:
        sizes = core.HistogramMetricFamily("trtkit_batch_size", "Pictures in a run", labels=["model"])
        dropped = core.CounterMetricFamily(
            "trtkit_dropped", "Requests dropped before they cost a run", labels=["model"]
        )
        memory = core.CounterMetricFamily("trtkit_out_of_memory", "Batches halved for want of memory", labels=["model"])
        opened = core.GaugeMetricFamily("trtkit_breaker_open", "1 while a network is not used", labels=["model"])
        for name, batcher in networks:
            by_size = dict(batcher.counts.by_size)
            runs, buckets = 0, []
            for size in range(1, batcher.max_batch + 1):
                runs += by_size.get(size, (0, 0))[0]
                buckets.append((str(float(size)), float(runs)))
            buckets.append(("+Inf", float(runs)))
            sizes.add_metric([name], buckets, sum(size * count for size, (count, _) in by_size.items()))
            dropped.add_metric([name], batcher.counts.dropped)
            memory.add_metric([name], batcher.counts.out_of_memory)
            opened.add_metric([name], float(batcher.breaker.open))
        yield from (sizes, dropped, memory, opened)

    def _server(self, core: Any) -> Iterator[Any]:
        under_way = core.GaugeMetricFamily("trtkit_requests_under_way", "Requests accepted and not answered")
        under_way.add_metric([], self._service.under_way)
        answers = core.CounterMetricFamily("trtkit_answers", "Answers by route and status", labels=["route", "status"])
        for (route, status), count in self._totals.answers.items():
            answers.add_metric([route, str(status)], count)
        stages = core.SummaryMetricFamily("trtkit_stage_seconds", "Seconds of a stage", labels=["model", "stage"])
        for (model, stage), (count, seconds) in self._totals.stages.items():
            stages.add_metric([model, stage], count, seconds)
        yield from (under_way, answers, stages)


async def metrics(request: Request) -> Response:
    client = need("prometheus_client", "/metrics")
    registry = client.CollectorRegistry()
    service: Service = request.app.state.service
    totals = await service.totals(request.app.state.gate.counts)
    registry.register(_Described(Collector(service, totals)))
    if totals.process is None:
        client.ProcessCollector(registry=registry)
    return answer(client.generate_latest(registry), client.CONTENT_TYPE_LATEST)


class _Described:
    """Keeps the registry from collecting once more only to learn the names."""

    def __init__(self, collector: Collector) -> None:
        self.collect: Callable[[], Iterator[Any]] = collector.collect

    def describe(self) -> list[Any]:
        return []
