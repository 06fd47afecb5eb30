"""The statistics extension: the same counts as /metrics, in the protocol's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtkit.serve.answers import json_answer
from trtkit.serve.network import Network
from trtkit.serve.protocol.catalogue import VERSION, Entry, entries
from trtkit.serve.protocol.metadata import asked
from trtkit.serve.refusal import Refused
from trtkit.serve.service import Service
from trtkit.serve.totals import Totals

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def of_all(request: Request) -> Response:
    service: Service = request.app.state.service
    totals = await service.totals(request.app.state.gate.counts)
    return json_answer({"model_stats": [_of(entry, totals) for entry in entries(service)]})


async def of_one(request: Request) -> Response:
    """Of one model; 400 for an unknown one, as Triton has it."""
    try:
        entry = asked(request)
    except Refused as error:
        raise Refused(400, str(error)) from None
    totals = await request.app.state.service.totals(request.app.state.gate.counts)
    return json_answer({"model_stats": [_of(entry, totals)]})


def _of(entry: Entry, totals: Totals) -> dict[str, Any]:
    counts = _of_network(entry.batcher) if entry.batcher else _of_pipeline(entry, totals)
    return {"name": entry.name, "version": VERSION, **counts}


def _of_network(batcher: Network) -> dict[str, Any]:
    counts = batcher.counts
    with counts.lock:
        sizes = [
            {"batch_size": size, "compute_input": _spent(0, 0), "compute_infer": _spent(*spent)}
            | {"compute_output": _spent(0, 0)}
            for size, spent in sorted(counts.by_size.items())
        ]
        return {
            "last_inference": counts.last_ms,
            "inference_count": counts.rows,
            "execution_count": counts.runs,
            "inference_stats": {
                "success": _spent(counts.success, counts.total_ns),
                "fail": _spent(counts.failure, counts.failure_ns),
                "queue": _spent(counts.success, counts.queue_ns),
                "compute_input": _spent(0, 0),
                "compute_infer": _spent(counts.success, counts.infer_ns),
                "compute_output": _spent(0, 0),
            },
            "batch_stats": sizes,
        }


def _of_pipeline(entry: Entry, totals: Totals) -> dict[str, Any]:
    """Pictures that were answered; all their stages together are what Triton calls the compute."""
    stages = {stage: spent for (model, stage), spent in totals.stages.items() if model == entry.served.model.name}
    done = stages.get("encode", (0, 0.0))[0]
    nanoseconds = int(sum(seconds for _, seconds in stages.values()) * 1e9)
    nothing = _spent(0, 0)
    return {
        "last_inference": 0,
        "inference_count": done,
        "execution_count": done,
        "inference_stats": {
            "success": _spent(done, nanoseconds),
            "fail": nothing,
            "queue": nothing,
            "compute_input": nothing,
            "compute_infer": _spent(done, nanoseconds),
            "compute_output": nothing,
        },
        "batch_stats": [],
    }


def _spent(count: int, nanoseconds: int) -> dict[str, int]:
    return {"count": count, "ns": nanoseconds}
