"""The real thing: the command, a port, signals."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import httpx
import numpy as np
import pytest

from .conftest import alone
from .server import Server, started
from .tiny import photo, pixels


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "cwd"
    made.mkdir()
    return made


def test_the_command_serves_and_nothing_of_a_request_is_left_on_disk(tiny_root, folder):
    data = photo(300, 200)
    with started(tiny_root, folder) as server:
        answer = httpx.post(f"{server.url}/v1/cv_unet", files={"image": ("a.jpg", data)})
        np.testing.assert_array_equal(pixels(answer.content), alone(data))
        opened = list((Path_of(server.process.pid) / "fd").iterdir())
        assert len(opened) < 64
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) in (0, -signal.SIGTERM)
    assert list(folder.iterdir()) == []
    text = server.log.read_text()
    assert "cv_unet: file weights" in text
    assert "on cpu: CPU" in text
    assert '"status": 200' in text


def Path_of(pid: int):  # noqa: N802
    from pathlib import Path

    return Path("/proc") / str(pid)


def load_until_sigterm(server: Server, stop: Callable[[], None]) -> None:
    """Load, then `stop`, which ends the server: clients may meet a closed door; who was let in gets a whole answer."""
    data = photo(200, 200)
    answered, refused, broken = 0, 0, []

    async def client(over: asyncio.Event) -> None:
        nonlocal answered, refused
        async with httpx.AsyncClient(timeout=30) as session:
            for _ in range(500):
                if over.is_set():
                    return
                try:
                    answer = await session.post(f"{server.url}/v1/cv_unet?size=256", content=data)
                except (httpx.ConnectError, httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                    refused += 1
                    return
                if answer.status_code == 200:
                    pixels(answer.content)
                    answered += 1
                elif answer.status_code != 503:
                    broken.append(answer.text)

    async def load() -> None:
        over = asyncio.Event()
        clients = [asyncio.create_task(client(over)) for _ in range(12)]
        while answered < 30:
            await asyncio.sleep(0.01)
        stop()
        await asyncio.to_thread(server.process.wait, 30)
        over.set()
        await asyncio.gather(*clients)

    asyncio.run(load())
    assert not broken
    assert refused, "the load ended before the server did"
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    accepted = [line["status"] for line in lines if line.get("path") == "/v1/cv_unet"]
    assert accepted.count(200) == answered
    assert set(accepted) <= {200, 503}


def test_sigterm_under_load_answers_every_accepted_request(tiny_root, folder):
    with started(tiny_root, folder) as server:
        load_until_sigterm(server, lambda: server.process.send_signal(signal.SIGTERM))


def test_kill_and_restart_leave_nothing_behind(tiny_root, folder):
    with started(tiny_root, folder) as server:
        port = int(server.url.rpartition(":")[2])
        server.process.kill()
        server.process.wait()
    with started(tiny_root, folder, "--port", port) as again:
        assert again.url == server.url
        assert httpx.post(f"{again.url}/v1/cv_unet", content=photo(64, 64)).status_code == 200
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(("setting", "threads"), [(None, "1"), ("3", "3")])
def test_opencv_has_one_thread_a_picture_unless_the_operator_says_otherwise(tiny_root, setting, threads):
    """Asked in the server's own process, in the place where it would begin to listen."""
    code = (
        "import cv2, sys; from trtkit.cli import app; from trtkit.report import serving;"
        "serving.run = lambda *given: print('OpenCV threads:', cv2.getNumThreads()); app(sys.argv[1:])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OPENCV_FOR_THREADS_NUM"}
    environment |= {"OPENCV_FOR_THREADS_NUM": setting} if setting else {}
    options = ("serve", "cv_unet", "--backend", "cpu", "--artifacts", str(tiny_root))
    done = subprocess.run(
        [sys.executable, "-c", code, *options], capture_output=True, text=True, check=True, env=environment
    )
    assert f"OpenCV threads: {threads}\n" in done.stdout


def _said(*options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "trtkit.cli", "serve", *options], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stderr.strip()


def test_a_taken_port_an_open_address_and_an_unknown_model_are_one_sentence_each(tiny_root):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, text = _said("cv_unet", "--backend", "cpu", "--port", port, "--artifacts", str(tiny_root))
        assert code == 2
        assert f"--host 127.0.0.1 --port {port} cannot be listened on" in text
    code, text = _said("cv_unet", "--host", "0.0.0.0")
    assert (code, "there are no API keys" in text) == (2, True)
    code, text = _said("yolo", "--backend", "cpu")
    assert (code, "model 'yolo' is not known" in text) == (2, True)


def test_an_answers_last_packet_is_not_held_back_for_the_clients_acknowledgement():
    """Nagle's delay would cost a lone client 40 ms an answer; asyncio turns it off by the socket's protocol."""
    from trtkit.serve.running import bind

    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held = writer.get_extra_info("socket")
            found.set_result(held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        bound = bind("127.0.0.1", 0)
        async with await asyncio.start_server(connected, sock=bound):
            _, writer = await asyncio.open_connection(*bound.getsockname())
            writer.close()
            return await asyncio.wait_for(found, 20)

    assert asyncio.run(accepted())
