"""What the server and its models say about themselves."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from trtkit import __version__
from trtkit.errors import Mistake
from trtkit.serve.answers import answer, json_answer
from trtkit.serve.body import read_body
from trtkit.serve.protocol.catalogue import VERSION, Entry, Tensor, described, entries, find
from trtkit.serve.protocol.datatypes import config_type
from trtkit.serve.refusal import Refused
from trtkit.serve.service import Service
from trtkit.serve.ticket import Ticket

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

EXTENSIONS = ("binary_tensor_data", "parameters", "model_configuration", "model_repository", "statistics")

_INDEX_LIMIT = 1 << 16


async def server(request: Request) -> Response:
    return json_answer({"name": "trtkit", "version": __version__, "extensions": list(EXTENSIONS)})


async def model(request: Request) -> Response:
    entry = asked(request)
    return json_answer(
        {
            "name": entry.name,
            "versions": [VERSION],
            "platform": entry.platform,
            "inputs": [described(tensor) for tensor in entry.inputs],
            "outputs": [described(tensor) for tensor in entry.outputs],
        }
    )


async def model_ready(request: Request) -> Response:
    """200, or 400 with the reason: Triton's status for a model that is not ready, an unknown one among them."""
    try:
        entry = asked(request)
    except Refused as error:
        raise Refused(400, str(error)) from None
    await request.app.state.service.refresh()
    if entry.problem:
        raise Refused(400, f"Model version not ready: {entry.problem}")
    return answer(b"", "text/plain")


async def config(request: Request) -> Response:
    """The model as a Triton configuration would have it."""
    entry = asked(request)
    content: dict[str, Any] = {
        "name": entry.name,
        "platform": "",
        "backend": entry.platform,
        "version_policy": {"latest": {"num_versions": 1}},
        "max_batch_size": entry.max_batch,
        "input": [_configured(tensor, entry) for tensor in entry.inputs],
        "output": [_configured(tensor, entry) for tensor in entry.outputs],
        "parameters": {},
    }
    if entry.max_batch:
        content["dynamic_batching"] = {"preferred_batch_size": [entry.max_batch]}
    return json_answer(content)


async def index(request: Request) -> Response:
    """Every model with its state; {"ready": true} leaves out what is not ready."""
    service: Service = request.app.state.service
    ticket = Ticket(time.monotonic() + service.limits.seconds, service.limits.seconds)
    body = await read_body(request, _INDEX_LIMIT, ticket, service.arrivals)
    ready_only = _ready_only(body)
    await service.refresh()
    found = []
    for entry in entries(service):
        if entry.problem is None:
            found.append({"name": entry.name, "version": VERSION, "state": "READY"})
        elif not ready_only:
            found.append({"name": entry.name, "version": VERSION, "state": "UNAVAILABLE", "reason": entry.problem})
    return json_answer(found)


async def fixed(request: Request) -> Response:
    """Loading and unloading: 503, as a Triton that was started with a fixed set of models."""
    raise Refused(503, "explicit model load / unload is not allowed; restart trtkit serve with the models you want")


def asked(request: Request) -> Entry:
    """The model in the request's path. Raises Refused (404)."""
    name = request.path_params["model"]
    request.state.note["model"] = name[:80]
    return find(request.app.state.service, name, request.path_params.get("version"))


def _configured(tensor: Tensor, entry: Entry) -> dict[str, Any]:
    dims = tensor.shape[1:] if entry.max_batch else tensor.shape
    return {"name": tensor.name, "data_type": config_type(tensor.datatype), "dims": list(dims)}


def _ready_only(body: bytes) -> bool:
    if not body.strip():
        return False
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Mistake(f"the request is not JSON that can be read ({error})") from error
    if not isinstance(given, dict):
        raise Mistake('the request is not an object; right would be {"ready": true}, or no body at all')
    return bool(given.get("ready", False))
