"""A server of several processes, as the command starts it: answers, limits, counts, and the death of each part."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from .server import Server, started
from .test_process import load_until_sigterm
from .tiny import photo

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads the server's processes in /proc")

KEY = "a-key-of-these-tests"
PICTURE = "/v1/cv_unet?size=256"
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "image/jpeg"}


def fronts_of(server: Server) -> list[int]:
    """Process ids."""
    hub = server.process.pid
    return [int(one) for one in Path(f"/proc/{hub}/task/{hub}/children").read_text().split()]


def eventually(condition: Callable[[], Any]) -> Any:
    for _ in range(1000):
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it never came to be")


def samples(answer: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in answer.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


class Client:
    """One connection that is kept."""

    def __init__(self, server: Server) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=30)
        self._http.connect()
        self.front = eventually(lambda: self._taken_by(server))

    def _taken_by(self, server: Server) -> int | None:
        """The front that has this connection's other end."""
        ours, theirs = self._http.sock.getsockname()[1], self._http.sock.getpeername()[1]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if int(words[1].partition(":")[2], 16) == theirs and int(words[2].partition(":")[2], 16) == ours:
                target = f"socket:[{words[9]}]"
                for front in fronts_of(server):
                    for descriptor in Path(f"/proc/{front}/fd").iterdir():
                        try:
                            if os.readlink(descriptor) == target:
                                return front
                        except FileNotFoundError:
                            continue
        return None

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes, Any]:
        self._http.request(method, path, body, {**HEADERS, **headers})
        answer = self._http.getresponse()
        return answer.status, answer.read(), answer.headers

    def metrics(self) -> dict[str, float]:
        return samples(self.ask("GET", "/metrics")[1].decode())

    def close(self) -> None:
        self._http.close()


@contextmanager
def on_both(server: Server) -> Iterator[tuple[Client, Client]]:
    """A client of each of two fronts."""
    with ExitStack() as stack:
        clients: dict[int, Client] = {}
        for _ in range(200):
            one = Client(server)
            stack.callback(one.close)
            clients.setdefault(one.front, one)
            if len(clients) == 2:
                first, second = clients.values()
                yield first, second
                return
            time.sleep(0.05)  # one may be only beginning
        raise AssertionError("one front takes every connection")


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "cwd"
    made.mkdir()
    return made


@pytest.fixture(scope="module")
def both(tiny_root, tmp_path_factory) -> Iterator[Server]:
    """One server of two fronts for the tests that leave it as it was: keys, six places, batches of up to 8."""
    folder = tmp_path_factory.mktemp("both") / "cwd"
    folder.mkdir()
    keys = folder.parent / "keys"
    keys.write_text(KEY)
    with started(tiny_root, folder, "--processes", 2, "--queue", 6, "--max-batch", 8, "--api-keys", keys) as server:
        yield server


def test_each_front_answers_as_a_server_of_one_process(both, tiny_root, folder):
    data = photo(300, 200)
    image = np.random.default_rng(0).integers(0, 256, (2, 256, 288, 3), np.uint8)
    given = {"name": "image", "shape": list(image.shape), "datatype": "UINT8"}
    given["parameters"] = {"binary_data_size": image.nbytes}
    head = json.dumps({"inputs": [given], "parameters": {"binary_data_output": True}}).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    infer = ("POST", "/v2/models/cv_unet_matting/infer", head + image.tobytes())
    asked: list[tuple[tuple[str, str, bytes], dict[str, str]]] = [
        (("POST", "/v1/cv_unet", data), {}),
        (("POST", "/v1/cv_unet?size=256&alpha_only=true", data), {"Accept": "image/webp"}),
        (infer, length),
        (("POST", "/v1/cv_unet", data[:-200]), {}),
        (("POST", "/v1/cv_unet?size=77", data), {}),
        (("POST", "/v2/models/cv_unet_matting/infer", b"{"), {}),
        (("GET", "/v2/models/cv_unet_matting/config", b""), {}),
        (("GET", "/v1/nothing", b""), {}),
    ]
    with started(tiny_root, folder, "--queue", 6, "--max-batch", 8) as one, httpx.Client(base_url=one.url) as alone:
        expected = []
        for (method, path, body), headers in asked:
            answer = alone.request(method, path, content=body, headers={**HEADERS, **headers})
            expected.append((answer.status_code, answer.content))
    assert [status for status, _ in expected] == [200, 200, 200, 400, 400, 400, 200, 405]
    assert expected[2][1].endswith(image[..., 0].tobytes())
    with on_both(both) as clients:
        for client in clients:
            assert [client.ask(*request, **headers)[:2] for request, headers in asked] == expected


def test_the_queue_is_one_for_all_fronts(both):
    data = photo(64, 64)
    with ExitStack() as stack:
        clients = [Client(both) for _ in range(9)]
        for client in clients:
            stack.callback(client.close)
        assert set(Counter(client.front for client in clients).values()) == {4, 5}, "connections are spread"
        pool = stack.enter_context(ThreadPoolExecutor(9))
        with stopped(both.process.pid):  # so that nothing is done
            asked = [pool.submit(client.ask, "POST", PICTURE, data) for client in clients]
            refused = eventually(lambda: [done for done in asked if done.done()][2:] and [d for d in asked if d.done()])
            assert len(refused) == 3
            for done in refused:
                status, body, headers = done.result()
                assert (status, json.loads(body)["error"]) == (429, "all 6 places of the queue are taken; try again")
                assert int(headers["Retry-After"]) >= 1
        assert Counter(done.result()[0] for done in asked) == {429: 3, 200: 6}
        assert eventually(lambda: clients[0].metrics()["trtkit_requests_under_way"] == 0)


def test_requests_of_two_fronts_share_a_run_and_every_front_tells_of_the_whole(both):
    """Each front has one client alone, so a run of two is of both."""
    data, name = photo(64, 64), 'nv_inference_count{model="cv_unet_matting",version="1"}'
    runs = 'nv_inference_exec_count{model="cv_unet_matting",version="1"}'
    answers = 'trtkit_answers_total{route="/v1/{model}",status="200"}'
    stage = 'trtkit_stage_seconds_count{model="cv_unet",stage="encode"}'
    with on_both(both) as clients:
        before, asked = clients[0].metrics(), 0
        for _ in range(10):  # on a busy machine the two may hardly meet
            with ThreadPoolExecutor(2) as pool:
                done = pool.map(lambda client: [client.ask("POST", PICTURE, data)[0] for _ in range(40)], clients)
            assert [set(statuses) for statuses in done] == [{200}, {200}]
            asked += 80
            if clients[0].metrics()[runs] - before.get(runs, 0) < asked:
                break
        for client in clients:
            after = client.metrics()
            for counted in (name, answers, stage):
                assert after[counted] - before.get(counted, 0) == asked
            assert after[runs] - before.get(runs, 0) < asked
            body = json.loads(client.ask("GET", "/v2/models/cv_unet_matting/stats")[1])
            stats = body["model_stats"][0]
            assert (stats["inference_count"], stats["execution_count"]) == (after[name], after[runs])
            assert {entry["batch_size"] for entry in stats["batch_stats"]} >= {2}
            pipeline = json.loads(client.ask("GET", "/v2/models/cv_unet/stats")[1])["model_stats"][0]
            assert pipeline["inference_count"] == after[stage]
            assert after["process_cpu_seconds_total"] >= before["process_cpu_seconds_total"] > 0


def test_a_session_that_one_front_opened_is_known_to_all(both):
    with on_both(both) as (one, other):
        status, _, headers = one.ask("POST", "/login")
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert status == 200
        assert other.ask("GET", "/v1", Authorization="", Cookie=cookie)[0] == 200
        assert other.ask("GET", "/v1", Authorization="", Cookie=cookie[:-1] + "x")[0] == 401


def test_a_session_that_one_front_ended_is_known_to_none(both):
    with on_both(both) as (one, other):
        cookie, kept = (one.ask("POST", "/login")[2]["Set-Cookie"].partition(";")[0] for _ in range(2))
        assert other.ask("POST", "/logout", Authorization="", Cookie=cookie)[0] == 200
        for client in (one, other):
            assert client.ask("GET", "/v1", Authorization="", Cookie=cookie)[0] == 401
            assert client.ask("GET", "/v1", Authorization="", Cookie=kept)[0] == 200


def test_nothing_of_the_shared_memory_has_a_name(both):
    """So nothing can stay behind, however the processes end."""
    for pid in (both.process.pid, *fronts_of(both)):
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "/dev/shm/" not in maps
        assert re.search(r"/memfd:trtkit \(deleted\)", maps)


def test_a_front_that_is_killed_is_replaced_and_the_others_go_on(tiny_root, folder):
    data = photo(64, 64)
    answers = 'trtkit_answers_total{route="/v1/{model}",status="200"}'
    with started(tiny_root, folder, "--processes", 2, "--queue", 6) as server, on_both(server) as (dies, stays):
        for client in (dies, stays):
            assert client.ask("POST", PICTURE, data)[0] == 200
        before = stays.metrics()
        with ThreadPoolExecutor(2) as pool:
            with stopped(server.process.pid):
                lost, kept = (pool.submit(client.ask, "POST", PICTURE, data) for client in (dies, stays))
                time.sleep(0.3)  # both are in the queue
                os.kill(dies.front, signal.SIGKILL)
                assert isinstance(lost.exception(20), (ConnectionError, http.client.HTTPException))
            assert kept.result()[0] == 200
        replaced = eventually(lambda: [pid for pid in fronts_of(server) if pid not in (dies.front, stays.front)])
        assert len(replaced) == 1
        with on_both(server) as clients:  # the new one takes connections
            for client in clients:
                assert client.ask("POST", PICTURE, data)[0] == 200
            after = clients[0].metrics()
        assert after[answers] == before[answers] + 3
        assert after["trtkit_requests_under_way"] == 0
        assert after["process_cpu_seconds_total"] > before["process_cpu_seconds_total"]
        said = [line for line in server.log.read_text().splitlines() if "another takes its place" in line]
        assert len(said) == 1
        assert json.loads(said[0])["message"] == (
            f"front process {dies.front} ended (signal 9); another takes its place"
        )


def test_without_the_hub_every_front_ends_at_once_and_the_port_is_free(tiny_root, folder):
    with started(tiny_root, folder, "--processes", 2) as server:
        fronts, port = fronts_of(server), int(server.url.rpartition(":")[2])
        assert len(fronts) == 2
        server.process.kill()
        server.process.wait()
        until = time.monotonic() + 3
        while any(_alive(pid) for pid in fronts) or not _free(port):
            assert time.monotonic() < until, "a front lives without the hub"
            time.sleep(0.02)
    assert list(folder.iterdir()) == []


def _free(port: int) -> bool:
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            again.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_sigterm_to_all_processes_under_load_loses_no_accepted_request(tiny_root, folder):
    """As a terminal's Ctrl-C or a supervisor's stop has it: not the hub alone gets the signal."""
    with started(tiny_root, folder, "--processes", 2) as server:
        pids = [server.process.pid, *fronts_of(server)]

        def stop() -> None:
            for number in (signal.SIGINT, signal.SIGTERM):
                for pid in reversed(pids):
                    os.kill(pid, number)

        load_until_sigterm(server, stop)
        assert server.process.returncode == 0
        assert not any(_alive(pid) for pid in pids)


def test_a_front_that_cannot_start_is_the_servers_end_and_one_sentence(tiny_root, folder, monkeypatch):
    broken = folder.parent / "broken" / "sitecustomize.py"
    broken.parent.mkdir()
    broken.write_text(
        "import sys\nif '-c' in sys.orig_argv and 'fronts.front' in sys.orig_argv[-1]:\n    raise SystemExit\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(broken.parent), os.environ.get("PYTHONPATH", "")]))
    with pytest.raises(AssertionError) as said, started(tiny_root, folder, "--processes", 2):
        raise AssertionError("it started")
    assert "trtkit: a front process ended before it served (exit 1); what it said, if anything, is above" in str(
        said.value
    )
