"""Limits: the queue, the time, the breaker, the memory, the client that left."""

import asyncio
import json
import threading

import numpy as np
import pytest

from trtkit.config import Batching
from trtkit.serve.limits import Limits
from trtkit.serve.negotiate import PROGRESS

from .conftest import alone
from .hands import Hold
from .tiny import photo, pixels


@pytest.mark.parametrize(("cores", "workers"), [(None, 1), (2, 2), (8, 8), (32, 8)])
def test_more_host_threads_than_eight_are_the_operators_choice(monkeypatch, cores, workers):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert Limits().workers == workers
    assert Limits(workers=32).workers == 32


async def until(condition) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")


def test_a_full_queue_says_429_and_when_to_come_back(serve, network):
    async def test(client, service):
        hold = Hold(network)
        waiting = [asyncio.create_task(client.post("/v1/cv_unet", content=photo(64, 64))) for _ in range(3)]
        await until(lambda: service.under_way == 3)
        refused = await client.post("/v1/cv_unet", content=photo(64, 64))
        assert refused.status_code == 429
        assert refused.json()["error"] == "all 3 places of the queue are taken; try again"
        assert int(refused.headers["retry-after"]) >= 1
        hold.release.set()
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200, 200]

    serve(test, limits=Limits(queue=3, workers=2))


def test_past_the_time_limit_it_is_504_and_what_still_waits_never_runs(serve, network):
    async def test(client, service):
        hold = Hold(network)
        first = asyncio.create_task(client.post("/v1/cv_unet", content=photo(64, 64)))
        await until(hold.entered.is_set)
        second = asyncio.create_task(client.post("/v1/cv_unet", content=photo(64, 64)))
        for answer in (await first, await second):
            assert answer.status_code == 504
            assert answer.json()["error"].startswith("not done within the time limit of 0.5 s")
        assert service.under_way == 2  # their places are taken until the work has really ended
        hold.release.set()
        await until(lambda: not service.under_way)
        batcher = service.models["cv_unet"].networks["matting"]
        assert (network.batches, batcher.counts.dropped) == ([1], 1)

    serve(test, limits=Limits(seconds=0.5, workers=2), batching=Batching(max_batch=1))


@pytest.mark.parametrize("accept", ["image/png", f"image/png, {PROGRESS}"])
def test_a_client_that_leaves_is_dropped_before_it_costs_a_run(serve, network, accept):
    async def test(client, service):
        hold = Hold(network)
        first = asyncio.create_task(client.post("/v1/cv_unet", content=photo(64, 64)))
        await until(hold.entered.is_set)
        app = client._transport.app
        body = photo(64, 64)
        gone = asyncio.Event()
        sent = False

        async def receive():
            nonlocal sent
            if not sent:
                sent = True
                return {"type": "http.request", "body": body, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            pass

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/v1/cv_unet",
            "raw_path": b"/v1/cv_unet",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"accept", accept.encode())],
            "server": ("server", 80),
            "client": ("client", 1),
        }
        left = asyncio.create_task(app(scope, receive, send))
        batcher = service.models["cv_unet"].networks["matting"]
        await until(lambda: batcher.depth == 1)
        gone.set()
        await left
        hold.release.set()
        assert (await first).status_code == 200
        await until(lambda: not service.under_way)
        assert (network.batches, batcher.counts.dropped) == ([1], 1)
        assert app.counts["/v1/{model}", 499] == 1

    serve(test, batching=Batching(max_batch=1))


def test_out_of_memory_halves_the_batch_and_every_picture_is_still_answered(serve, network):
    pictures = [photo(64 + number, 64, seed=number) for number in range(8)]

    def small_memory(arrays) -> None:
        if len(arrays["image"]) > 2:
            raise RuntimeError("BFCArena: Failed to allocate memory for requested buffer")

    async def test(client, service):
        hold = Hold(network)
        first = asyncio.create_task(client.post("/v1/cv_unet", content=pictures[0]))
        await until(hold.entered.is_set)
        waiting = [asyncio.create_task(client.post("/v1/cv_unet", content=data)) for data in pictures]
        batcher = service.models["cv_unet"].networks["matting"]
        await until(lambda: batcher.depth == 8)
        network.before = small_memory
        hold.release.set()
        for data, answer in zip(pictures, await asyncio.gather(*waiting), strict=True):
            np.testing.assert_array_equal(pixels(answer.content), alone(data))
        assert (await first).status_code == 200
        assert batcher.allowed_batch == 2
        assert batcher.counts.out_of_memory == 2  # 8 → 4 → 2
        assert not batcher.breaker.open

    serve(test, batching=Batching(max_batch=8, max_delay_ms=2000))


def test_after_many_good_runs_the_batch_grows_again(serve, network):
    async def test(client, service):
        batcher = service.models["cv_unet"].networks["matting"]
        batcher._allowed = 4
        image = {"image": np.zeros((1, 4, 4, 3), np.uint8)}
        for _ in range(100):
            batcher.run(image)
        assert batcher.allowed_batch == 8

    serve(test)


def test_the_breaker_opens_shows_in_readiness_and_closes_by_itself(serve, network):
    def broken(_) -> None:
        raise RuntimeError("the device fell off")

    async def test(client, service):
        network.before = broken
        for _ in range(3):
            answer = await client.post("/v1/cv_unet", content=photo(64, 64))
            assert answer.status_code == 503
            assert answer.json()["error"] == "network cv_unet/matting failed (the device fell off); try again"
        answer = await client.post("/v1/cv_unet", content=photo(64, 64))
        assert answer.status_code == 503
        assert "failed 3 times in a row (last: the device fell off); it is tried again soon" in answer.json()["error"]
        assert int(answer.headers["retry-after"]) >= 1
        ready = await client.get("/v2/health/ready")
        assert (ready.status_code, (await client.get("/v2/health/live")).status_code) == (503, 200)
        assert "cv_unet/matting failed 3 times in a row" in ready.json()["error"]
        network.before = lambda _: None
        batcher = service.models["cv_unet"].networks["matting"]
        await until(lambda: not batcher.breaker.open)
        assert (await client.get("/v2/health/ready")).status_code == 200
        assert (await client.post("/v1/cv_unet", content=photo(64, 64))).status_code == 200

    serve(test, limits=Limits(failures=3, cool_down=0.3, workers=2))


def test_a_lane_outlives_whatever_a_run_raises(serve, network):
    class Odd(BaseException):
        pass

    def odd(_) -> None:
        network.before = lambda _: None
        raise Odd("out of the ordinary")

    async def test(client, service):
        network.before = odd
        assert (await client.post("/v1/cv_unet", content=photo(64, 64))).status_code == 500
        assert (await client.post("/v1/cv_unet", content=photo(64, 64))).status_code == 200
        assert service.models["cv_unet"].networks["matting"].lanes_alive == 1

    serve(test)


def test_a_lone_request_does_not_wait_for_company(serve, network):
    async def test(client, service):
        # With a delay this long a wait would run into the time limit.
        assert (await client.post("/v1/cv_unet", content=photo(64, 64))).status_code == 200

    serve(test, batching=Batching(max_batch=8, max_delay_ms=60_000), limits=Limits(seconds=20, workers=2))


def test_two_backends_share_the_work(network):
    from trtkit.serve.batcher import Batcher
    from trtkit.serve.breaker import Breaker

    from .conftest import Wrapped

    other = Wrapped()
    meet = threading.Barrier(2, timeout=20)
    network.before = other.before = lambda _: meet.wait()  # neither run ends before the other has begun
    image = {"image": np.zeros((1, 4, 4, 3), np.uint8)}
    batcher = Batcher("m/n", [network, other], 1, 0.0, Breaker(5, 1), image)
    futures = [batcher.submit(image) for _ in range(2)]
    for future in futures:
        future.result(20)
    batcher.close()
    assert (network.batches, other.batches) == ([1], [1])


class Uploads:
    """Requests straight to the application whose bodies come as far as a test wants: a client library would wait for
    its own body before it looks at the answer."""

    def __init__(self, app) -> None:
        self._app = app
        self._rest = asyncio.Event()

    async def post(self, begun: bytes, rest: bytes | None = None, *headers: tuple[bytes, bytes]) -> tuple[int, dict]:
        """Send `begun`, and `rest` once `finish` was called; never more if it is None. (status, JSON or {})"""
        parts = [begun] if rest is None else [begun, rest]
        answer: list = []

        async def receive() -> dict:
            if len(parts) == 1 and (rest is not None or not begun):
                await self._rest.wait()
            if not parts:
                await asyncio.Event().wait()
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts) or rest is None}

        async def send(message) -> None:
            answer.append(message)

        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST"}
        scope |= {"scheme": "http", "path": "/v1/cv_unet", "raw_path": b"/v1/cv_unet", "query_string": b""}
        scope |= {"root_path": "", "headers": list(headers), "server": ("server", 80), "client": ("client", 1)}
        await self._app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in answer[1:])
        return answer[0]["status"], json.loads(body) if body[:1] == b"{" else {}

    def finish(self) -> None:
        self._rest.set()


def test_a_body_that_does_not_come_is_408_and_the_connection_ends(serve):
    async def test(client, service):
        status, said = await Uploads(client._transport.app).post(b"x")
        assert (status, said["error"]) == (408, "the body was not here within the time limit of 0.3 s")
        assert (service.arrivals.count, service.arrivals.bytes) == (0, 0)

    serve(test, limits=Limits(seconds=0.3, workers=2))


def test_bodies_that_come_slowly_keep_nobody_out_of_the_queue(serve):
    data = photo(64, 64)

    async def test(client, service):
        uploads = Uploads(client._transport.app)
        slow = [asyncio.create_task(uploads.post(data[:100], data[100:])) for _ in range(8)]
        await until(lambda: service.arrivals.bytes == 800)
        assert service.under_way == 0
        assert (await client.post("/v1/cv_unet", content=data)).status_code == 200
        # Then all places for bodies on their way are taken, four for each place of the queue.
        more = [asyncio.create_task(uploads.post(data[:100], data[100:])) for _ in range(4)]
        await until(lambda: service.arrivals.count == 12)
        refused = await client.post("/v1/cv_unet", content=data)
        assert refused.status_code == 429
        assert refused.json()["error"] == "12 bodies are being received already; try again"
        uploads.finish()
        answered = [status for status, _ in await asyncio.gather(*slow, *more)]
        assert 200 in answered
        assert set(answered) <= {200, 429}  # the queue has three places
        assert (service.arrivals.count, service.arrivals.bytes) == (0, 0)

    serve(test, limits=Limits(queue=3, workers=2))


def test_bodies_together_hold_no_more_bytes_than_there_is_room_for(serve):
    async def test(client, service):
        uploads = Uploads(client._transport.app)
        first = asyncio.create_task(uploads.post(b"x" * 800, b""))
        await until(lambda: service.arrivals.bytes == 800)
        status, said = await uploads.post(b"x" * 800, b"")
        assert (status, said["error"]) == (429, "too many bytes are being received at once; try again")
        uploads.finish()
        assert (await first)[0] == 400
        assert service.arrivals.bytes == 0

    serve(test, limits=Limits(queue=4, upload=1000, workers=2))
