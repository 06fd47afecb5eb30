"""uvicorn's HTTP connection with bounds on what comes before a request's body: how long it takes, and how much it is.

uvicorn itself waits for a request's head for ever, and takes headers of any size.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

from trtkit.optional import need

HEAD_LIMIT = 64 << 10
"""Bytes of a request's line and headers; every proxy's own limit is less."""

_LINGER_SECONDS = 1.0
_LINGER_BYTES = 8 << 20
"""How long, and how much, is still read from a client that has its answer before all of its request is here."""

_JOINED_MOST = 256 << 10
"""Bytes; joining copies them, and a large body is many packets anyway."""


class _AnswerTransport:
    """A transport that sends an answer's head together with what follows it at once: a system call less, and each gives
    Python's lock away to whichever thread waits for it.

    Closing it while a body is on its way in ends the answer, and then lingers: what still came would reset a closed
    connection, and the answer would be lost with it.
    """

    body_open = False
    """Whether the rest of a request's body may still come."""
    lingers = False
    _dropped = 0

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head and len(data) <= _JOINED_MOST:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._flush()
            self._head = data
            self._loop.call_soon(self._flush)  # where nothing follows at once
            return
        else:
            self._flush()
        self._transport.write(data)

    def write_eof(self) -> None:
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        if self.body_open:
            self.linger()
        else:
            self._flush()
            self._transport.close()

    def is_closing(self) -> bool:
        return self.lingers or self._transport.is_closing()

    def linger(self) -> None:
        """Say that nothing more is sent, and close in a moment; until then what comes is to be given to `drop`."""
        if not self.is_closing():
            self.lingers = True
            self.write_eof()
            self._transport.resume_reading()
            self._loop.call_later(_LINGER_SECONDS, self._transport.close)

    def drop(self, data: bytes) -> None:
        self._dropped += len(data)
        if self._dropped > _LINGER_BYTES:
            self._transport.close()

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)


def connections(seconds: float) -> type:
    """A protocol for uvicorn's `http`: a head that is not whole after `seconds` is answered with 408, one of more than
    HEAD_LIMIT bytes with 431, one that is not HTTP with 400. Who has sent nothing at all is hung up on in silence."""
    base: Any = need("uvicorn.protocols.http.httptools_impl", "trtkit serve").HttpToolsProtocol

    class Connection(base):  # type: ignore[misc]  # uvicorn is only known at run time
        _timer: asyncio.TimerHandle | None = None
        _begun = 0
        """Bytes since the last whole head."""
        _read = 0
        """Bytes of this head's headers so far."""
        _heard = False
        """Whether a head has begun."""

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(_AnswerTransport(transport, self.loop))
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._have_head()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.transport.lingers:
                self.transport.drop(data)
                return
            self._begun += len(data)
            super().data_received(data)
            if self._timer is not None and self._begun > HEAD_LIMIT:
                self._too_large()

        def on_message_begin(self) -> None:
            self._read, self._heard = 0, True
            self._await_head()
            super().on_message_begin()

        def on_header(self, name: bytes, value: bytes) -> None:
            self._read += len(name) + len(value)
            if self._read > HEAD_LIMIT:  # all of it came at once
                raise ValueError("the headers are too large")  # ends the parser, and leads to send_400_response
            super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._have_head()
            self.transport.body_open = True
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self.transport.body_open = False
            super().on_message_complete()

        def send_400_response(self, msg: str) -> None:
            if self._read > HEAD_LIMIT:
                self._too_large()
            else:
                self._refuse(400, "this is not an HTTP request that can be read")

        def _await_head(self) -> None:
            if self._timer is None:
                self._timer = self.loop.call_later(seconds, self._too_slow)

        def _have_head(self) -> None:
            self._begun, self._heard = 0, False
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _too_slow(self) -> None:
            if self._heard:
                self._refuse(408, f"the request's headers were not here within the time limit of {seconds:g} s")
            else:
                self.transport.close()

        def _too_large(self) -> None:
            self._refuse(431, f"the request's headers are larger than the limit of {HEAD_LIMIT >> 10} KiB")

        def _refuse(self, status: int, sentence: str) -> None:
            self._have_head()
            if self.cycle is None or self.cycle.response_complete:  # else an answer is under way
                body = json.dumps({"error": sentence}).encode()
                head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
                head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                self.transport.write(head.encode() + body)
            self.transport.linger()

    return Connection
