"""A request's body, in memory and within its limits: nothing of it touches the disk."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from trtkit.serve.arrivals import Arrival, Arrivals
from trtkit.serve.refusal import Gone, Refused
from trtkit.serve.ticket import Ticket

if TYPE_CHECKING:
    from starlette.requests import Request

_SWALLOW_SECONDS = 1.0
_SWALLOW_LIMITS = 2


async def read_body(request: Request, limit: int, ticket: Ticket, arrivals: Arrivals) -> bytes:
    """The body, at most `limit` bytes. Raises Refused: 413 too large, 408 not here by the ticket's deadline, 429 too
    much on its way from all clients together, Gone.

    A client that still sends would not see the refusal, so a body that is too large is read on for a moment and thrown
    away, except where the client waits to be asked (Expect: 100-continue).
    """
    declared = request.headers.get("content-length", "")
    size = int(declared) if declared.isdigit() else 0
    if size > limit and "expect" in request.headers:
        raise _too_large(limit)
    with arrivals.one() as arrival:
        return await _read(request, limit, size, ticket, arrival)


async def _read(request: Request, limit: int, declared: int, ticket: Ticket, arrival: Arrival) -> bytes:
    chunks: list[bytes] = []
    received = 0
    until = ticket.deadline
    if declared > limit:
        until = min(until, time.monotonic() + _SWALLOW_SECONDS)
    try:
        async with asyncio.timeout(max(0.0, until - time.monotonic())):
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                chunk = message.get("body", b"")
                received += len(chunk)
                if max(received, declared) <= limit:
                    arrival.took(len(chunk))
                    chunks.append(chunk)
                else:
                    arrival.let_go()
                    chunks.clear()
                if not message.get("more_body", False) or received > limit * (1 + _SWALLOW_LIMITS):
                    break
    except TimeoutError:
        if max(received, declared) <= limit:
            raise Refused(408, f"the body was not here within the time limit of {ticket.limit:g} s") from None
    if max(received, declared) > limit:
        raise _too_large(limit)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the body is larger than the limit of {limit / (1 << 20):.3g} MiB; send a smaller file")


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a multipart form; else it is the picture itself.

    Raises Refused (415) for a body that says it is no picture.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return True
    if kind and not kind.startswith("image/") and kind not in ("application/octet-stream",):
        raise Refused(
            415,
            f"the body is '{kind[:60]}'; right would be a picture (image/jpeg, image/png, …) or multipart/form-data "
            "with one file",
        )
    return False
