"""What comes before a request's body: heads that are slow, endless or no HTTP at all, on a real server."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import time
from collections.abc import Iterator

import pytest

from trtkit.serve import connection

from .server import Server, started
from .tiny import photo


@pytest.fixture(scope="module")
def server(tiny_root, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("cwd")
    with started(tiny_root, folder, "--time-limit", 1) as running:
        yield running


def said(server: Server, *parts: bytes) -> bytes:
    """All that the server sends until it hangs up, after each part in turn."""
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return received


def refusal(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    return int(head.split(b" ")[1]), json.loads(body)["error"]


def test_headers_that_never_end_are_408(server):
    begun = b"POST /v1/cv_unet HTTP/1.1\r\nHost: server\r\nX-Slow: "
    sentence = "the request's headers were not here within the time limit of 1 s"
    assert refusal(said(server, begun)) == (408, sentence)


def test_who_says_nothing_is_hung_up_on(server):
    assert said(server) == b""


def test_headers_of_any_size_are_431(server):
    assert refusal(said(server, b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 70_000)) == (
        431,
        "the request's headers are larger than the limit of 64 KiB",
    )


def test_what_is_no_http_is_400(server):
    assert refusal(said(server, b"\x16\x03\x01 hello\r\n\r\n")) == (400, "this is not an HTTP request that can be read")


def test_a_second_request_on_a_connection_has_the_same_time(server):
    good = b"GET /v2/health/live HTTP/1.1\r\nHost: server\r\n\r\n"
    answer = said(server, good, b"GET /v2")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert refusal(b"HTTP/1.1" + answer.rpartition(b"HTTP/1.1")[2])[0] == 408


def test_a_body_larger_than_the_headers_may_be_is_welcome(server):
    data = photo(400, 400, kind="PNG")
    assert len(data) > 64 << 10
    head = f"POST /v1/cv_unet?size=256 HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    assert said(server, head.encode() + data).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("sent", [10, 150_000])
def test_a_body_that_goes_on_coming_after_its_408_does_not_cost_the_client_the_answer(server, sent):
    head = b"POST /v1/cv_unet HTTP/1.1\r\nHost: s\r\nContent-Type: image/jpeg\r\nContent-Length: 1000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(head + bytes(sent))
        assert select.select([connection], [], [], 20)[0]  # the answer is here, not yet looked at
        for _ in range(3):
            connection.sendall(b"still sending")
            time.sleep(0.05)  # a closed connection would have been reset by now, and the answer gone
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert refusal(received) == (408, "the body was not here within the time limit of 1 s")


def test_who_never_stops_sending_is_hung_up_on(server):
    head = b"POST /v1/cv_unet HTTP/1.1\r\nHost: s\r\nContent-Length: 4000000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(head)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(bytes(1 << 30))


class Written:
    """A transport that keeps its writes apart."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def write_eof(self) -> None:
        self.writes.append(b"half-closed")

    def close(self) -> None:
        self.writes.append(b"closed")

    def is_closing(self) -> bool:
        return b"closed" in self.writes

    def resume_reading(self) -> None:
        self.writes.append(b"reads on")


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


def test_an_answers_head_goes_with_what_follows_at_once_and_waits_for_nothing_else():
    async def test() -> None:
        transport = Written()
        joining = connection._AnswerTransport(transport, asyncio.get_running_loop())
        joining.write(HEAD)
        joining.write(b"body")
        joining.write(b"more")
        assert transport.writes == [HEAD + b"body", b"more"]
        joining.write(HEAD)
        await asyncio.sleep(0)
        assert transport.writes[2:] == [HEAD], "a stream's head is there before its first line"
        joining.write(HEAD)
        joining.write(bytes(connection._JOINED_MOST + 1))
        assert [len(data) for data in transport.writes[3:]] == [len(HEAD), connection._JOINED_MOST + 1]
        joining.write(HEAD)
        joining.close()
        assert transport.writes[5:] == [HEAD, b"closed"]

    asyncio.run(test())


def test_a_connection_is_closed_at_once_unless_a_body_is_on_its_way_in_and_then_soon(monkeypatch):
    monkeypatch.setattr(connection, "_LINGER_SECONDS", 0.05)

    async def test() -> None:
        loop, done, soon, much = asyncio.get_running_loop(), Written(), Written(), Written()
        connection._AnswerTransport(done, loop).close()
        assert done.writes == [b"closed"]
        for transport in (soon, much):
            joining = connection._AnswerTransport(transport, loop)
            joining.body_open = True
            joining.write(HEAD)
            joining.close()
            joining.close()
            assert joining.is_closing()
            assert transport.writes == [HEAD, b"half-closed", b"reads on"]
        joining.drop(bytes(connection._LINGER_BYTES))
        assert not much.is_closing()
        joining.drop(b"x")
        assert much.is_closing()
        assert not soon.is_closing()
        await asyncio.sleep(0.2)
        assert soon.is_closing()

    asyncio.run(test())
