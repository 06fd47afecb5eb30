"""What a client keeps waiting: connections that are idle but for a byte, bodies that were answered early, answers that
nobody reads. uvicorn in a thread of this process, so that its times can be short."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from trtkit.serve import connection
from trtkit.serve.limits import Limits
from trtkit.serve.running import bind, settings_of

from .hands import eventually

uvicorn = pytest.importorskip("uvicorn", reason="needs the 'serve' extra")

GET = b"GET / HTTP/1.1\r\nHost: s\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 100\r\n\r\n"


@contextmanager
def listening(size: int = 4, keep_alive: float = 60.0, parts: int = 1) -> Iterator[tuple[tuple[str, int], set]]:
    """(address, connections) of a server that answers at once, with `size` bytes in each of `parts`, and reads no
    body."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % (size * parts))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for left in reversed(range(parts)):
            await send({"type": "http.response.body", "body": bytes(size), "more_body": left > 0})

    settings = settings_of(app, Limits(seconds=60))
    settings.lifespan, settings.timeout_keep_alive = "off", keep_alive
    server = uvicorn.Server(settings)
    with bind("127.0.0.1", 0) as bound:
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        try:
            eventually(lambda: server.started)
            yield bound.getsockname(), server.server_state.connections
        finally:
            server.should_exit = server.force_exit = True
            thread.join(20)


@contextmanager
def connected(address: tuple[str, int], *parts: bytes) -> Iterator[socket.socket]:
    """A connection on which each of `parts` was sent and had its answer."""
    with socket.create_connection(address, timeout=5) as client:
        for part in parts:
            client.sendall(part)
            answer = b""
            while not answer.endswith(b"\r\n\r\n" + bytes(4)):
                piece = client.recv(65536)
                assert piece, answer
                answer += piece
            assert answer.startswith(b"HTTP/1.1 200 OK")
        yield client


@pytest.mark.parametrize(
    ("before", "after"),
    [(GET, b"\r\n"), (GET, b"\r\n\r\n\r\n"), (POST, b"x"), (POST, bytes(100)), (GET, b"")],
    ids=["an empty line", "empty lines", "a part of a body", "a body", "nothing"],
)
def test_a_connection_with_no_request_on_it_ends_whatever_else_came(before, after):
    with listening(keep_alive=0.3) as (address, _), connected(address, before) as client:
        client.sendall(after)
        assert client.recv(1) == b""


def test_the_rest_of_an_answered_body_does_not_drip_for_ever(monkeypatch):
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 0.1)
    with listening(keep_alive=0.3) as (address, connections), connected(address, POST) as client:
        for _ in range(99):
            client.sendall(b"x")
            if select.select([client], [], [], 0.1)[0]:
                break
        assert client.recv(1) == b""
        eventually(lambda: not connections)


def test_a_connection_is_kept_where_the_rest_of_an_answered_body_comes():
    rest_and_more = bytes(100) + b"\r\n" + GET
    with listening() as (address, _), connected(address, POST, rest_and_more, POST, rest_and_more, GET):
        pass


def test_idle_time_begins_once_all_of_an_answered_body_is_here():
    with listening() as (address, connections), connected(address, POST) as client:
        (one,) = connections
        eventually(lambda: one.timeout_keep_alive_task is not None)
        ends = one.timeout_keep_alive_task.when()
        client.sendall(bytes(100))
        eventually(lambda: one.timeout_keep_alive_task.when() > ends)


@pytest.mark.parametrize("keep_alive", [0.1, 60.0])
@pytest.mark.parametrize(("size", "parts"), [(64 << 20, 1), (1 << 20, 64)])
def test_an_answer_that_nobody_reads_is_not_held_for_ever(monkeypatch, keep_alive, size, parts):
    monkeypatch.setattr(connection, "_STALLED_SECONDS", 0.2, raising=False)
    with listening(size, keep_alive, parts) as (address, connections), socket.create_connection(address) as client:
        client.sendall(GET)
        eventually(lambda: bool(connections))
        eventually(lambda: not connections)


def test_an_answer_that_is_read_slowly_is_not_cut_off(monkeypatch):
    """The kernel takes it from us a megabyte at a time, which this client needs some seconds for."""
    monkeypatch.setattr(connection, "_STALLED_SECONDS", 2.0)
    size = 12 << 20
    with listening(size) as (address, _), socket.create_connection(address, timeout=5) as client:
        client.sendall(GET)
        come = 0
        for _ in range(100):
            come += len(client.recv(20_000))
            time.sleep(0.05)
        while come < size and (piece := client.recv(1 << 20)):
            come += len(piece)
    assert come > size, "the head, too"
