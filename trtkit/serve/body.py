"""A request's body, in memory and within its limits: nothing of it touches the disk."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from trtkit.optional import need
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


def one_file(body: bytes, content_type: str) -> tuple[bytes, str]:
    """(content, name) of the picture in `body`: the body itself, or the one file of a multipart form.

    Raises Refused: 400 for a broken form or none or several files in it, 415 for a body that says it is no picture.
    """
    kind, _, _ = content_type.partition(";")
    kind = kind.strip().lower()
    if kind == "multipart/form-data":
        files = _files(body, content_type)
        if len(files) != 1:
            raise Refused(400, f"the form has {len(files)} files; right would be one picture a request")
        return files[0]
    if kind and not kind.startswith("image/") and kind not in ("application/octet-stream",):
        raise Refused(
            415,
            f"the body is '{kind[:60]}'; right would be a picture (image/jpeg, image/png, …) or multipart/form-data "
            "with one file",
        )
    return body, "the picture"


def _files(body: bytes, content_type: str) -> list[tuple[bytes, str]]:
    """Every part of a multipart form that has a file name; all of it stays in memory."""
    multipart = need("python_multipart.multipart", "reading uploads")
    _, parameters = multipart.parse_options_header(content_type)
    boundary = parameters.get(b"boundary")
    if not boundary:
        raise Refused(400, "the form has no boundary in its Content-Type")
    files: list[tuple[bytes, str]] = []
    headers: dict[bytes, bytes] = {}
    field, value, content = bytearray(), bytearray(), bytearray()
    ended = False

    def header_end() -> None:
        headers[bytes(field).lower()] = bytes(value)
        field.clear()
        value.clear()

    def part_begin() -> None:
        headers.clear()
        content.clear()

    def part_end() -> None:
        _, named = multipart.parse_options_header(headers.get(b"content-disposition", b""))
        if b"filename" in named:
            files.append((bytes(content), _clean(named[b"filename"])))

    def end() -> None:
        nonlocal ended
        ended = True

    parser = multipart.MultipartParser(
        boundary,
        {
            "on_part_begin": part_begin,
            "on_part_data": lambda data, start, stop: content.extend(memoryview(data)[start:stop]),
            "on_part_end": part_end,
            "on_header_field": lambda data, start, stop: field.extend(data[start:stop]),
            "on_header_value": lambda data, start, stop: value.extend(data[start:stop]),
            "on_header_end": header_end,
            "on_end": end,
        },
    )
    try:
        parser.write(body)
        parser.finalize()
    except multipart.FormParserError as error:
        raise Refused(400, f"the form is broken ({error}); send it again") from error
    if not ended:
        raise Refused(400, "the form is cut short: its last boundary is missing; send it again")
    return files


def _clean(name: bytes) -> str:
    """A file's name as it may stand in a sentence."""
    text = name.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text[:60] or "the picture"
