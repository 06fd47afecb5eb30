"""The image endpoints: one picture in, one picture out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trtkit.models.pipeline import Watcher
from trtkit.models.served import parse_options
from trtkit.models.spec import Model
from trtkit.serve.answers import answer, json_answer
from trtkit.serve.body import is_form, read_body
from trtkit.serve.form import only_file
from trtkit.serve.negotiate import kinds_of, negotiate, wants_progress
from trtkit.serve.progress import ProgressAnswer
from trtkit.serve.refusal import Refused
from trtkit.serve.service import Service
from trtkit.serve.ticket import Ticket
from trtkit.serve.way import Result

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def list_models(request: Request) -> Response:
    """GET /v1: what is served, with the options of each model."""
    service: Service = request.app.state.service
    models = {}
    for name, served in service.models.items():
        models[name] = describe(served.model) | {"notes": (await service.opened(served, {})).notes}
    limits = {
        "megapixels": service.limits.megapixels,
        "upload_bytes": service.limits.upload,
        "seconds": service.limits.seconds,
        "queue": service.limits.queue,
    }
    keys = bool(request.app.state.keys)
    return json_answer({"models": models, "limits": limits, "keys": keys})


def describe(model: Model) -> dict[str, Any]:
    options = []
    for option in model.served:
        entry: dict[str, Any] = {"name": option.name, "kind": option.kind, "help": option.help}
        entry["default"] = option.default
        if option.kind == "whole":
            entry |= {"least": option.least, "most": option.most, "multiple_of": option.multiple_of}
        if option.kind == "choice":
            entry["choices"] = list(option.choices)
        options.append(entry)
    useful = asdict(model.useful) | {"unless": dict(model.useful.unless)} if model.useful else None
    return {
        "title": model.title,
        "result": model.result_tag,
        "answers": list(kinds_of(model)),
        "stages": dict(model.stages),
        "options": options,
        "useful": useful,
    }


async def picture(request: Request) -> Response | ProgressAnswer:
    """POST /v1/{model}: the body is a picture, or a form with one; the query holds the model's options."""
    service: Service = request.app.state.service
    name = request.path_params["model"]
    request.state.note["model"] = name
    served = service.served(name)
    pipeline = await service.opened(served, parse_options(served.model.served, _query(request), name))
    accept = request.headers.get("accept", "")
    media_type, suffix = negotiate(accept, kinds_of(served.model))
    ticket = service.ticket()
    body = await read_body(request, service.limits.upload, ticket, service.arrivals)
    kind = request.headers.get("content-type", "")
    form = is_form(kind)
    service.admit(ticket)

    async def out_of_form(watcher: Watcher | None) -> Result:
        nonlocal body
        data, called = await service.on_host(lambda: _file_in(body, kind, ticket))
        body = b""
        return await service.picture(served, pipeline, data, called, suffix, ticket, watcher)

    def begun(watcher: Watcher | None) -> Awaitable[Result]:
        if form:
            return out_of_form(watcher)
        return service.picture(served, pipeline, body, "the picture", suffix, ticket, watcher)

    async def work(watcher: Watcher | None = None) -> Result:
        async with hung_up(request) as gone:
            result: Result = await service.guarded(lambda: begun(watcher), ticket, gone)
        request.state.note["stages_ms"] = {stage: round(spent * 1e3, 1) for stage, spent in result.seconds.items()}
        return result

    if wants_progress(accept):
        return ProgressAnswer(work, media_type, request.state.note)
    result = await work()
    timing = ", ".join(f"{stage.replace(' ', '-')};dur={spent * 1e3:.1f}" for stage, spent in result.seconds.items())
    return answer(result.body, media_type, headers={"Server-Timing": timing, "Vary": "Accept"})


def _query(request: Request) -> dict[str, str]:
    given: dict[str, str] = {}
    for option, text in request.query_params.multi_items():
        if option in given:
            raise Refused(400, f"option '{option[:40]}' is there twice; give it once")
        given[option] = text
    return given


def _file_in(form: bytes, content_type: str, ticket: Ticket) -> tuple[bytes, str]:
    """As `only_file` has it, unless nobody waits for it any more by the time that a thread is free."""
    ticket.check()
    return only_file(form, content_type)


@contextlib.asynccontextmanager
async def hung_up(request: Request) -> AsyncIterator[asyncio.Task]:
    """A task that is done when the client has closed the connection. The body must have been read."""

    async def wait() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(wait())
    try:
        yield task
    finally:
        task.cancel()
