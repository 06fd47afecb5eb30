"""POST …/infer: a network's run through its batcher, or pictures through a pipeline, under the server's limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from trtkit.errors import Mistake
from trtkit.serve.answers import answer
from trtkit.serve.body import read_body
from trtkit.serve.images import hung_up
from trtkit.serve.names import PIPELINE_INPUT, PIPELINE_OUTPUT
from trtkit.serve.network import Network
from trtkit.serve.protocol import compression, tensors, wire
from trtkit.serve.protocol.catalogue import Entry, check
from trtkit.serve.protocol.metadata import asked
from trtkit.serve.protocol.options import pipeline_options
from trtkit.serve.protocol.wire import InferRequest
from trtkit.serve.refusal import Refused
from trtkit.serve.service import Service
from trtkit.serve.ticket import Ticket, carried

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

Arrays = dict[str, np.ndarray]

_LONGEST = 10**12
"""Microseconds of a 'timeout'; JSON's numbers may be larger than a clock can hold."""


async def infer(request: Request) -> Response:
    service: Service = request.app.state.service
    entry = asked(request)
    encoding = compression.known(request.headers.get("content-encoding", ""))
    wanted = compression.accepted(request.headers.get("accept-encoding", ""))
    header_length = request.headers.get(wire.HEADER_LENGTH)
    ticket = service.ticket()
    body = await read_body(request, service.limits.upload, ticket, service.arrivals)
    service.admit(ticket)

    others: list[Ticket] = []

    async def work() -> tuple[bytes, int | None]:
        nonlocal body
        if entry.batcher:
            entry.batcher.announce(ticket)
        given, arrays = await service.on_host(lambda: _read(entry, body, encoding, header_length, service, ticket))
        body = b""
        _hurry(ticket, given.parameters)
        if entry.batcher:
            outputs = await _network(entry.batcher, arrays, ticket)
        else:
            outputs = await _pipeline(service, entry, given, arrays, ticket, others)
        datatypes = {tensor.name: tensor.datatype for tensor in entry.outputs}

        def write() -> tuple[bytes, int | None]:
            ticket.check()
            written, length = wire.write(given, entry.name, {n: (datatypes[n], a) for n, a in outputs.items()})
            return compression.deflate(written, wanted), length

        return await service.on_host(write)

    async with hung_up(request) as gone:
        try:
            content, json_length = await service.guarded(work, ticket, gone)
        except Refused:
            for extra in others:
                if ticket.gone:
                    extra.hang_up()
            raise
    headers = {"Vary": "Accept-Encoding"}
    if wanted:
        headers["Content-Encoding"] = wanted
    if json_length is None:
        return answer(content, "application/json", headers=headers)
    headers[wire.HEADER_LENGTH] = str(json_length)
    return answer(content, "application/octet-stream", headers=headers)


def _read(
    entry: Entry, body: bytes, encoding: str, header_length: str | None, service: Service, ticket: Ticket
) -> tuple[InferRequest, Arrays]:
    """The request and its inputs, checked against the model before anything is made of them; nothing of a request that
    nobody waits for any more by the time that a thread is free."""
    ticket.check()
    request = wire.read(compression.inflate(body, encoding, service.limits.upload), header_length)
    wire.check_outputs(request, [tensor.name for tensor in entry.outputs], entry.name)
    check(entry, {sent.name: (sent.datatype, sent.shape) for sent in request.inputs})
    arrays = {}
    for sent in request.inputs:
        if sent.raw is not None:
            arrays[sent.name] = tensors.from_raw(sent.name, sent.raw, sent.datatype, sent.shape)
        else:
            arrays[sent.name] = tensors.from_json(sent.name, sent.data, sent.datatype, sent.shape)
    return request, arrays


def _hurry(ticket: Ticket, parameters: Mapping[str, Any]) -> None:
    """The protocol's 'timeout', in microseconds, can only shorten the server's own limit. Raises Mistake."""
    timeout = parameters.get("timeout")
    if timeout is None:
        return
    if isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 0:
        raise Mistake("parameter 'timeout' is not a whole number of microseconds")
    seconds = min(timeout, _LONGEST) / 1e6
    deadline = time.monotonic() + seconds
    if timeout and deadline < ticket.deadline:
        ticket.deadline, ticket.limit = deadline, seconds


async def _network(batcher: Network, arrays: Arrays, ticket: Ticket) -> Arrays:
    ticket.check()
    with carried(ticket):
        future = batcher.submit(arrays)
    return await asyncio.wrap_future(future)


async def _pipeline(
    service: Service, entry: Entry, request: InferRequest, arrays: Arrays, ticket: Ticket, others: list[Ticket]
) -> Arrays:
    """Each picture of the request goes the way of an image endpoint's, and takes a place of the queue; `others` are
    the tickets of those after the first."""
    options, suffix = pipeline_options(entry.served.model, request.parameters)
    pipeline = await service.opened(entry.served, options)
    pictures = arrays[PIPELINE_INPUT]
    try:
        for _ in range(pictures.size - 1):
            extra = Ticket(ticket.deadline, ticket.limit)
            service.admit(extra)
            others.append(extra)
        work = [
            service.picture(entry.served, pipeline, data, "the picture", suffix, one)
            for data, one in zip(pictures.reshape(-1), (ticket, *others), strict=True)
        ]
        results = await asyncio.gather(*work, return_exceptions=True)
    finally:
        for extra in others:
            service.leave(extra)
    files = np.empty(len(results), object)
    for place, result in enumerate(results):
        if isinstance(result, BaseException):
            raise result
        files[place] = result.body
    return {PIPELINE_OUTPUT: files.reshape(pictures.shape)}
