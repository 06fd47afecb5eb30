"""The real thing: the command, a port, signals."""

import signal
import socket
import subprocess
import sys

import httpx
import numpy as np
import pytest

from .conftest import alone
from .server import started
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


def test_kill_and_restart_leave_nothing_behind(tiny_root, folder):
    with started(tiny_root, folder) as server:
        port = int(server.url.rpartition(":")[2])
        server.process.kill()
        server.process.wait()
    with started(tiny_root, folder, "--port", port) as again:
        assert again.url == server.url
        assert httpx.post(f"{again.url}/v1/cv_unet", content=photo(64, 64)).status_code == 200
    assert list(folder.iterdir()) == []


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
