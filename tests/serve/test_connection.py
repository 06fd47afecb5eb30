"""What is around a request's body: heads that are slow, endless or no HTTP at all, trailers, and offers of another
protocol, on a real server."""

from __future__ import annotations

import asyncio
import json
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from trtkit.serve import connection

from .server import Server, started
from .tiny import photo, pixels


@pytest.fixture(scope="module")
def server(tiny_root, tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("cwd")
    with started(tiny_root, folder, "--time-limit", 1) as running:
        yield running


def said(server: Server, *parts: bytes) -> bytes:
    """All that the server sends until it hangs up, after each part in turn."""
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as connection:
        for number, part in enumerate(parts):
            time.sleep(0.05 if number else 0)  # else they would come as one
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


TO_MODEL = b"POST /v1/cv_unet HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n\r\n"
TO_NONE = TO_MODEL.replace(b"cv_unet", b"nothing")
LAST = b"GET /v2/health/live HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("begun", [b"0\r\nX-Trailer: ", b"5;extension="], ids=["trailer", "chunk line"])
def test_trailers_and_chunk_lines_that_never_end_are_431(server, begun):
    assert refusal(said(server, TO_MODEL + begun, b"y" * 400_000)) == (
        431,
        "the request's headers are larger than the limit of 64 KiB",
    )


def test_whole_trailers_of_any_size_are_431(server):
    trailers = b"".join(b"X-%d: %b\r\n" % (number, b"y" * 8000) for number in range(10))
    assert refusal(said(server, TO_MODEL + b"0\r\n" + trailers))[0] == 431


def test_trailers_that_never_end_are_hung_up_on_after_an_answer_too(server):
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(TO_NONE + b"0\r\nX-Trailer: ")
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")
        connection.sendall(b"y" * 400_000)
        assert connection.recv(65536) == b"", "it has had its answer; a second would be taken for the next request's"
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(TO_NONE + b"0\r\nX-Trailer: ")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(b"y" * (64 << 20))


def test_a_trailer_does_not_pass_for_a_header(server):
    answer = said(server, TO_NONE + b"0\r\nX-Request-Id: of-a-trailer\r\n\r\n" + LAST)
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"of-a-trailer" not in answer


def test_a_body_that_is_no_longer_http_is_400(server):
    assert refusal(said(server, TO_MODEL + b"2\r\nab\r\nzz\r\n"))[0] == 400


def test_after_a_large_body_the_next_head_may_come_in_pieces(server):
    head = b"POST /v1/nothing HTTP/1.1\r\nHost: s\r\nContent-Length: 1000000\r\n\r\n"
    answer = said(server, head + bytes(1_000_000), LAST[:20], LAST[20:])
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.count(b"HTTP/1.1 200 OK") == 1


H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"
WEBSOCKET = b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


def offering(offer: bytes, chunked: bool) -> tuple[bytes, bytes]:
    """A picture's head and body."""
    body = photo(200, 300, kind="PNG")
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    if chunked:
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:1000], body[1000:])) + b"0\r\n\r\n"
    return b"POST /v1/cv_unet?size=256 HTTP/1.1\r\nHost: s\r\n%b%b\r\n\r\n" % (offer, framing), body


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("offer", [H2C, WEBSOCKET], ids=["h2c", "websocket"])
def test_an_offer_of_another_protocol_is_passed_over_and_the_picture_is_served(server, offer, chunked):
    head, body = offering(offer, chunked)
    plain = said(server, *offering(b"Connection: close\r\n", chunked)).partition(b"\r\n\r\n")[2]
    assert pixels(plain).shape == (200, 300, 4)
    for parts in ([head + body + LAST], [head, body, LAST], [head[:100], head[100:] + body[:50], body[50:], LAST]):
        answer = said(server, *parts)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert plain in answer
        assert answer.count(b"HTTP/1.1 ") == 2, "what is left over was read as a request"
    answer = said(server, (head + body) * 3 + LAST)
    assert (answer.count(plain), answer.count(b"HTTP/1.1 200 OK")) == (3, 4)


def test_what_follows_an_offer_is_no_request_of_its_own(server):
    """A body that looks like one, such as a proxy may be made to carry."""
    inner = LAST.replace(b"Connection: close\r\n", b"")
    head = b"POST /v1/nothing HTTP/1.1\r\nHost: s\r\n" + H2C + b"Content-Length: %d\r\n\r\n" % len(inner)
    answer = said(server, head, inner, LAST)
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"404", b"200"]


def test_who_offers_another_protocol_and_closes_is_answered_and_hung_up_on(server):
    answer = said(server, LAST.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" in answer.lower()


def test_a_proxy_is_not_what_this_is(server):
    assert refusal(said(server, b"CONNECT other:443 HTTP/1.1\r\nHost: other:443\r\n\r\n" + LAST))[0] == 400


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl_that_offers_http_2_gets_its_picture(server, tmp_path):
    if "HTTP2" not in subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("this curl offers no HTTP/2")
    data = photo(900, 900, kind="PNG")
    (tmp_path / "photo.png").write_bytes(data)
    command = ["curl", "-s", "--http2", "--data-binary", f"@{tmp_path / 'photo.png'}", "-H", "Content-Type: image/png"]
    command += ["-o", str(tmp_path / "out.png"), "-w", "%{http_code}", "--max-time", "20"]
    answered = subprocess.run([*command, f"{server.url}/v1/cv_unet?size=256"], capture_output=True, text=True)
    assert answered.stdout == "200"
    assert pixels((tmp_path / "out.png").read_bytes()).shape == (900, 900, 4)


class Written:
    """A transport that keeps its writes apart; `waiting` is what of them has yet to be sent."""

    waiting = 0

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.writes.append(b"aborted")

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


class Later:
    """A loop in which it is later when a test says so."""

    def __init__(self) -> None:
        self.calls: list = []

    def call_later(self, _: float, call, *arguments) -> None:
        self.calls.append((call, arguments))

    call_soon = None

    def come(self) -> None:
        calls, self.calls = self.calls, []
        for call, arguments in calls:
            call(*arguments)


def test_only_an_answer_of_which_nothing_is_taken_ends_its_connection():
    loop, transport = Later(), Written()
    answer = connection._AnswerTransport(transport, loop)
    answer.write(b"all of this is sent")
    assert not loop.calls
    transport.waiting = 900
    answer.write(bytes(1000))
    transport.waiting = 600
    loop.come()  # it has become less
    answer.write(bytes(100))
    loop.come()  # as much as before, but of more
    transport.waiting = 0
    loop.come()
    assert not loop.calls
    assert b"aborted" not in transport.writes
    transport.waiting = 500
    answer.write(bytes(500))
    answer.write(bytes(10))
    transport.waiting = 510
    assert len(loop.calls) == 1
    loop.come()
    assert transport.writes[-1] == b"aborted"
    assert not loop.calls


def test_what_an_application_says_after_the_end_is_dropped():
    transport = Written()
    answer = connection._AnswerTransport(transport, Later())
    answer.linger()
    answer.write(b"late")
    assert transport.writes == [b"half-closed", b"reads on"]
