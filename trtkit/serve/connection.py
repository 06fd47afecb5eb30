"""uvicorn's HTTP connection with bounds on what a client may keep waiting, and how much of it is held meanwhile: a
request's head, its trailers, the rest of a body that has its answer, and an answer that nobody reads.

uvicorn itself waits for all of these for ever, takes headers and trailers of any size, and loses the body of a request
that offers another protocol.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import struct
import termios
from http import HTTPStatus
from typing import Any

from trtkit.optional import need

HEAD_LIMIT = 64 << 10
"""Bytes of a request's line and headers, of a chunk's line, and of the trailers; every proxy's own limit is less."""

_LINGER_SECONDS = 1.0
_LINGER_BYTES = 8 << 20
"""How long, and how much, is still read from a client that has its answer before all of its request is here."""

_STALLED_SECONDS = 30.0
"""How long a client may take nothing of an answer that waits for it."""

_JOINED_MOST = 256 << 10
"""Bytes; joining copies them, and a large body is many packets anyway."""


class _AnswerTransport:
    """A transport that sends an answer's head together with what follows it at once: a system call less, and each gives
    Python's lock away to whichever thread waits for it.

    Closing it while a body is on its way in ends the answer, and then lingers: what still came would reset a closed
    connection, and the answer would be lost with it.

    An answer of which the client takes nothing for a while is thrown away with the connection; closing alone would wait
    for ever until it is sent.
    """

    body_open = False
    """Whether the rest of a request's body may still come."""
    lingers = False
    _dropped = 0
    _written = 0
    _watched = False

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self.lingers:
            return  # it has been said that nothing more is sent
        if self._head and len(data) <= _JOINED_MOST:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._flush()
            self._head = data
            self._loop.call_soon(self._flush)  # where nothing follows at once
            return
        else:
            self._flush()
        self._send(data)

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
            self._send(head)

    def _send(self, data: bytes) -> None:
        self._transport.write(data)
        self._written += len(data)
        if not self._watched and self._transport.get_write_buffer_size():
            self._watch()

    def _watch(self) -> None:
        self._watched = True
        self._loop.call_later(_STALLED_SECONDS, self._look, self._taken())

    def _look(self, before: int) -> None:
        self._watched = False
        if not self._transport.get_write_buffer_size():
            return
        if self._taken() > before:
            self._watch()
        else:
            self._transport.abort()

    def _taken(self) -> int:
        """Bytes that the client has. What waits may be as much as before though some was taken: more of the answer has
        followed. The kernel's share is counted, too: it takes from us a megabyte at a time, and a slow client may need
        a minute for that."""
        return self._written - self._transport.get_write_buffer_size() - _unacknowledged(self._transport)


def _unacknowledged(transport: asyncio.Transport) -> int:
    """Bytes of a connection that the kernel holds, since the other side has not said that they came."""
    try:
        descriptor = transport.get_extra_info("socket").fileno()
        (held,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))
    except (OSError, AttributeError):
        return 0
    return int(held)


def connections(seconds: float) -> type:
    """A protocol for uvicorn's `http`: a head that is not whole after `seconds` is answered with 408, one of more than
    HEAD_LIMIT bytes with 431, one that is not HTTP with 400. Who has sent nothing at all is hung up on in silence.

    An offer of another protocol (h2c, WebSocket) is passed over, as RFC 9110 allows: the request is served as it is.
    """
    base: Any = need("uvicorn.protocols.http.httptools_impl", "trtkit serve").HttpToolsProtocol
    httptools: Any = need("httptools", "trtkit serve")

    class Connection(base):  # type: ignore[misc]  # uvicorn is only known at run time
        parser: Any
        timeout_keep_alive_task: asyncio.TimerHandle | None
        _timer: asyncio.TimerHandle | None = None
        _pending = 0
        """Bytes since the parser last had something whole; it holds them, and joins them by copying."""
        _read = 0
        """Bytes of this request's headers and trailers so far."""
        _heard = False
        """Whether a head has begun."""

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(_AnswerTransport(transport, self.loop))
            self._await_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._have_head()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """In place of uvicorn's own, which ends its keep-alive time at any byte, one that begins no request too."""
            if self.transport.lingers:
                self.transport.drop(data)
                return
            self._pending += len(data)
            try:
                self._feed(data)
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
            else:
                if self._pending > HEAD_LIMIT:
                    self._too_large()

        def on_message_begin(self) -> None:
            self._read, self._heard = 0, True
            self._unset_keepalive_if_required()
            self._await_head()
            super().on_message_begin()

        def on_header(self, name: bytes, value: bytes) -> None:
            self._read += len(name) + len(value)
            if self._read > HEAD_LIMIT:  # all of it came at once
                raise ValueError("the headers are too large")  # ends the parser, and leads to send_400_response
            if not self.transport.body_open:  # else it is a trailer, which must not pass for a header
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")  # what follows would be no HTTP
            if self.parser.should_upgrade():
                return  # _feed gives it to a parser once more
            self._have_head()
            self._unset_keepalive_if_required()  # an answer that was under way may have begun it meanwhile
            super().on_headers_complete()
            self.transport.body_open = True

        def on_body(self, body: bytes) -> None:
            self._pending = 0
            super().on_body(body)

        def on_chunk_header(self) -> None:
            self._pending = 0

        def on_chunk_complete(self) -> None:
            self._pending = 0

        def on_message_complete(self) -> None:
            if self.parser.should_upgrade():
                return
            self._pending = 0
            self.transport.body_open = False
            if self.timeout_keep_alive_task is not None:  # it was answered before all of it was here, and is idle now
                self._unset_keepalive_if_required()
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )
            super().on_message_complete()

        def send_400_response(self, msg: str) -> None:
            self.logger.warning(msg)
            if self._read > HEAD_LIMIT:
                self._too_large()
            else:
                self._refuse(400, "this is not an HTTP request that can be read")

        def _feed(self, data: bytes) -> None:
            """To httptools a request that offers another protocol ends with its head, and what follows is of that
            protocol. So such a head is read again without its offer, by a parser that is not at that end."""
            rest = memoryview(data)
            while True:
                try:
                    self.parser.feed_data(rest)
                    return
                except httptools.HttpParserUpgrade as upgrade:
                    rest = rest[upgrade.args[0] :]
                    head = self._head_without_offer()
                    self.parser = self._new_parser()
                    self.parser.feed_data(head)

        def _head_without_offer(self) -> bytes:
            line = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
            kept = [name + b": " + value for name, value in self.headers if name != b"upgrade"]
            return b"\r\n".join([line, *kept, b"", b""])

        def _new_parser(self) -> Any:
            """As uvicorn makes it."""
            parser = httptools.HttpRequestParser(self)
            if hasattr(parser, "set_dangerous_leniencies"):  # httptools has it from 0.6.3 on
                parser.set_dangerous_leniencies(lenient_data_after_close=True)
            return parser

        def _await_head(self) -> None:
            if self._timer is None:
                self._timer = self.loop.call_later(seconds, self._too_slow)

        def _have_head(self) -> None:
            self._pending, self._heard = 0, False
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
            if self._answerable():
                if self.transport.body_open:
                    self._withdraw()
                body = json.dumps({"error": sentence}).encode()
                head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n"
                head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                self.transport.write(head.encode() + body)
            self.transport.linger()

        def _answerable(self) -> bool:
            """Whether the next answer on this connection is for the request at hand, and has not begun."""
            if self.transport.body_open:
                return not self.pipeline and not self.cycle.response_started
            return self.cycle is None or self.cycle.response_complete

        def _withdraw(self) -> None:
            """To the application, which still waits for the body, the client has left."""
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    return Connection
