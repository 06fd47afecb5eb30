"""Ten thousand requests to a real server, a fifth of them hostile: each is answered as it deserves, and nothing wears.

One client process with sockets of its own: the requests are written byte by byte, so that they can be as wrong as they
have to be.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest

from trtkit.models.imaging.encode import encode

from .conftest import alone
from .server import Server, started
from .test_images import bomb
from .tiny import photo

GOOD, SLOW, EACH = 8000, 200, 90
"""Good requests, bodies that drip, and requests of each other hostile kind: with 20 of those 10,000 in all."""
CLIENTS = 12
LIMIT = 250_000
"""Bytes of a body that the server takes."""
SECONDS = 4
PICTURE, NETWORK = "/v1/cv_unet?size=256", "/v2/models/cv_unet_matting/infer"


@dataclass(frozen=True)
class Case:
    """What is sent, and what has to come back: a status, and a body that `right` accepts. Status 0: the client hangs up
    once `content` is sent."""

    name: str
    content: bytes
    status: int
    right: Callable[[bytes], bool]


def message(path: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: server", *headers]
    if not any(header.startswith("Transfer-Encoding") for header in headers):
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def tensor(content: bytes, shape: list[int], datatype: str = "UINT8", size: int | None = None) -> bytes:
    """An inference request with one binary input, as tritonclient writes it."""
    given = {"name": "image", "shape": shape, "datatype": datatype}
    given["parameters"] = {"binary_data_size": len(content) if size is None else size}
    head = json.dumps({"inputs": [given], "parameters": {"binary_data_output": True}}).encode()
    return message(NETWORK, head + content, f"Inference-Header-Content-Length: {len(head)}")


def good_cases() -> list[Case]:
    cases = []
    for seed in range(6):
        data = photo(24 + seed, 32, seed)
        expected = encode(alone(data, size=256), ".png")
        form = b"--b\r\nContent-Disposition: form-data; name=a; filename=a.jpg\r\n\r\n" + data + b"\r\n--b--\r\n"
        cases.append(Case("picture", message(PICTURE, data, "Content-Type: image/jpeg"), 200, expected.__eq__))
        cases.append(
            Case("form", message(PICTURE, form, "Content-Type: multipart/form-data; boundary=b"), 200, expected.__eq__)
        )
        pixels = np.random.default_rng(seed).integers(0, 256, (1, 256, 256 + 4 * seed, 3), np.uint8)
        red = pixels[..., 0].tobytes()
        cases.append(Case("tensor", tensor(pixels.tobytes(), list(pixels.shape)), 200, lambda b, r=red: b.endswith(r)))
    return cases


def hostile_cases() -> list[Case]:
    data, pixels = photo(200, 300), bytes(16 * 16 * 3)

    def says(sentence: str) -> Callable[[bytes], bool]:
        def right(body: bytes) -> bool:
            error = json.loads(body)["error"]
            return sentence in error and "\n" not in error

        return right

    def case(name: str, content: bytes, status: int, sentence: str) -> Case:
        return Case(name, content, status, says(sentence))

    chunked = b"".join(b"8000\r\n" + bytes(0x8000) + b"\r\n" for _ in range(9)) + b"0\r\n\r\n"
    squeezed = gzip.compress(bytes(LIMIT * 20))
    return [
        case("truncated", message(PICTURE, data[: len(data) // 2]), 400, "cut short or damaged"),
        case("empty", message(PICTURE, b""), 400, "is empty (0 bytes)"),
        case("no picture", message(PICTURE, b"hello" * 100), 400, "is not an image that can be read"),
        case(
            "bomb",
            message(PICTURE, bomb(50000, 50000)),
            413,
            "2500.0 megapixels, over the limit of 9; send a smaller one",
        ),
        case("oversized", message(PICTURE, bytes(LIMIT + 1)), 413, "larger than the limit of"),
        case("oversized chunks", message(PICTURE, chunked, "Transfer-Encoding: chunked"), 413, "larger than the limit"),
        case("wrong type", message(PICTURE, b"{}", "Content-Type: application/json"), 415, "right would be a picture"),
        case("wrong option", message("/v1/cv_unet?size=1e9", data), 400, "a whole number from 256 to 1024"),
        case(
            "half a form",
            message(PICTURE, b"--b\r\nContent-Disp", "Content-Type: multipart/form-data; boundary=b"),
            400,
            "the form is cut short",
        ),
        case("wrong model", message("/v1/nothing", data), 404, "model 'nothing' is not served here"),
        case("bad JSON", message(NETWORK, b'{"inputs": ['), 400, "the request is not JSON that can be read"),
        case("wrong shape", tensor(pixels, [1, 16, 16]), 400, "unexpected shape for input 'image'"),
        case("wrong size", tensor(pixels, [1, 64, 64, 3]), 400, "takes image [1, 256, 256, 3] to"),
        case("wrong datatype", tensor(pixels, [1, 16, 16, 3], "FP32"), 400, "data-type is 'FP32', but model"),
        case("lying length", tensor(pixels, [1, 16, 16, 3], size=7), 400, "bytes that belong to no input"),
        case(
            "gzip bomb",
            message(NETWORK, squeezed, "Content-Encoding: gzip"),
            413,
            "the body's content is larger than the limit of",
        ),
        case("no HTTP", b"\x16\x03\x01\x02\x00 this is TLS, say\r\n\r\n", 400, "not an HTTP request that can be read"),
        case("endless headers", message(PICTURE, b"", *(f"X-{n}: {'x' * 8000}" for n in range(9))), 431, "64 KiB"),
        Case("cancelled in the body", message(PICTURE, data[:500], length=len(data)), 0, bool),
        Case("cancelled after it", message(PICTURE, data), 0, bool),
    ]


class Client:
    """Connections to the server; `wrong` collects what was not as it had to be."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.wrong: list[str] = []
        self.done: Counter[str] = Counter()

    async def work(self, cases: list[Case]) -> None:
        """Take cases off the end of the list until it is empty, over one connection as long as the server keeps it."""
        streams = None
        while cases:
            case = cases.pop()
            if streams is None:
                streams = await self._connect()
            reader, writer = streams
            writer.write(case.content)
            if case.status == 0:
                await writer.drain()
                writer.transport.abort()
                streams = None
                self.done[case.name] += 1
                continue
            status, body, closes = await self._answer(reader)
            self._judge(case, status, body)
            if closes:
                writer.close()
                streams = None
        if streams is not None:
            streams[1].close()

    async def drip(self, head: bytes, rest: bytes) -> None:
        """A body that goes on coming, a byte at a time, and is never whole."""
        reader, writer = await self._connect()
        writer.write(head)
        answer = asyncio.ensure_future(self._answer(reader))
        for byte in rest:
            done, _ = await asyncio.wait({answer}, timeout=0.25)
            if done:
                break
            writer.write(bytes([byte]))
        status, body, closes = await answer
        right = "the body was not here within the time limit of"
        self._judge(Case("slow", b"", 408, lambda b: right in json.loads(b)["error"]), status, body)
        if not closes:
            self.wrong.append("slow: the connection was kept, though the rest of the body may still come")
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._port)

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).decode("latin-1").lower()
        length = int(head.partition("\r\ncontent-length: ")[2].partition("\r\n")[0])
        return int(head.split(" ")[1]), await reader.readexactly(length), "connection: close" in head

    def _judge(self, case: Case, status: int, body: bytes) -> None:
        self.done[case.name] += 1
        if status != case.status or not case.right(body):
            self.wrong.append(f"{case.name}: {status} {body[:200]!r}")


@dataclass(frozen=True)
class Held:
    """What a server's process holds: bytes, threads, open files."""

    memory: int
    threads: int
    files: int

    @classmethod
    def by(cls, server: Server) -> Held:
        process = Path("/proc") / str(server.process.pid)
        lines = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        memory, threads = int(lines["VmRSS"].split()[0]) << 10, int(lines["Threads"])
        return cls(memory, threads, len(list((process / "fd").iterdir())))


def _samples(url: str) -> dict[str, float]:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return {n: float(v) for n, _, v in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


def _quiet(server: Server) -> dict[str, float]:
    """Its figures, once nothing is under way."""
    for _ in range(400):
        samples = _samples(server.url)
        if not samples["trtkit_requests_under_way"]:
            return samples
        time.sleep(0.05)
    raise AssertionError("a request never left")


def _settled(server: Server, files: int) -> Held:
    """What it holds once the last connections, too, are closed."""
    for _ in range(200):
        held = Held.by(server)
        if held.files <= files:
            break
        time.sleep(0.05)
    return held


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the server's memory and threads in /proc")
def test_ten_thousand_requests_a_fifth_of_them_hostile(tiny_root, tmp_path):
    folder = tmp_path / "cwd"
    folder.mkdir()
    good, hostile = good_cases(), hostile_cases()
    cases = [good[number % len(good)] for number in range(GOOD)] + hostile * EACH
    assert len(cases) + SLOW == 10_000
    assert len(hostile) * EACH + SLOW == 2000
    random.Random(0).shuffle(cases)
    first, rest = cases[:2000], cases[2000:]
    body = photo(200, 300)
    head = message(PICTURE, body[:500], length=len(body))
    options = ("--time-limit", SECONDS, "--max-upload", LIMIT / (1 << 20), "--no-access-log")

    with started(tiny_root, folder, *options) as server:
        client = Client(int(server.url.rpartition(":")[2]))

        async def storm(some: list[Case], slow: int) -> None:
            dripping = [client.drip(head, body[500:]) for _ in range(slow)]
            await asyncio.gather(*dripping, *(client.work(some) for _ in range(CLIENTS)))

        asyncio.run(storm(first, 0))  # what a process keeps for good, it has by then
        _quiet(server)
        before = Held.by(server)
        asyncio.run(storm(rest, SLOW))
        samples = _quiet(server)
        after = _settled(server, before.files)
        asyncio.run(storm(list(good), 0))
        assert httpx.get(f"{server.url}/v2/health/ready").status_code == 200

    assert not client.wrong, f"{len(client.wrong)} of 10,000, among them: {client.wrong[:5]}"
    assert sum(client.done.values()) == 10_000 + len(good)
    answered = {
        status: sum(v for n, v in samples.items() if n.startswith("trtkit_answers") and f'status="{status}"' in n)
        for status in (404, 408, 413, 415, 429, 500, 503, 504)
    }
    expected = Counter({case.status: 0 for case in hostile})
    for case in hostile:
        expected[case.status] += EACH
    assert answered == {status: expected[status] for status in answered} | {408: SLOW}
    assert after.threads <= before.threads, "a thread more than before"
    assert after.files <= before.files, "a file or connection was left open"
    assert after.memory - before.memory < 24 << 20, f"{before.memory >> 20} MiB have become {after.memory >> 20}"
    assert list(folder.iterdir()) == []
    print(f"memory {before.memory >> 20} then {after.memory >> 20} MiB, threads {after.threads}, answers {answered}")
