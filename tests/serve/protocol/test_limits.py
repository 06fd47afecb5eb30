"""The server's limits hold for the protocol too: size, queue, time, keys, the breaker; batches are shared."""

import asyncio
import gzip
import json
import struct
import threading
import zlib

import numpy as np
import pytest

from tests.serve.conftest import alone
from tests.serve.test_limits import Hold, until
from tests.serve.tiny import photo, pixels
from trtkit.config import Batching
from trtkit.serve.limits import Limits
from trtkit.serve.protocol import tensors, wire

NETWORK = "/v2/models/cv_unet_matting/infer"
PIPELINE = "/v2/models/cv_unet/infer"
LENGTH = wire.HEADER_LENGTH


def tensor(array: np.ndarray, **request) -> dict:
    """A request to the tiny network with `array` as its image, in binary: what httpx posts."""
    entry = {"name": "image", "datatype": "UINT8", "shape": list(array.shape)}
    entry["parameters"] = {"binary_data_size": array.nbytes}
    head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}, **request}).encode()
    return {"content": head + array.tobytes(), "headers": {LENGTH: str(len(head))}}


def pictures(*files: bytes, **parameters) -> dict:
    raw = b"".join(struct.pack("<I", len(data)) + data for data in files)
    entry = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [len(files), 1],
        "parameters": {"binary_data_size": len(raw)},
    }
    head = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True, **parameters}}).encode()
    return {"content": head + raw, "headers": {LENGTH: str(len(head))}}


def image(seed: int = 0, rows: int = 1, side: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (rows, side, side, 3), np.uint8)


def alpha_of(answer) -> np.ndarray:
    """The one binary output of an answer: alpha, uint8 [N, H, W, 1]."""
    assert answer.status_code == 200, answer.text
    length = int(answer.headers[LENGTH])
    (output,) = json.loads(answer.content[:length])["outputs"]
    return np.frombuffer(answer.content[length:], np.uint8).reshape(output["shape"])


def results_of(answer) -> list[bytes]:
    assert answer.status_code == 200, answer.text
    at, files = int(answer.headers[LENGTH]), []
    while at < len(answer.content):
        (size,) = struct.unpack_from("<I", answer.content, at)
        files.append(answer.content[at + 4 : at + 4 + size])
        at += 4 + size
    return files


async def together(client, service, network, *requests):
    """Answers of requests that all wait while a run of another is held, however slow this machine is."""
    hold = Hold(network)
    ahead = asyncio.create_task(client.post(NETWORK, **tensor(image(side=128))))
    await until(hold.entered.is_set)
    waiting = [asyncio.create_task(request) for request in requests]
    (batcher,) = service.models["cv_unet"].networks.values()
    await until(lambda: batcher.depth == len(requests))
    hold.release.set()
    await ahead
    return await asyncio.gather(*waiting)


def test_tensor_requests_share_runs_and_each_gets_its_own(serve, network):
    images = [image(seed) for seed in range(8)]

    async def test(client, service):
        answers = await together(client, service, network, *(client.post(NETWORK, **tensor(one)) for one in images))
        for one, answer in zip(images, answers, strict=True):
            np.testing.assert_array_equal(alpha_of(answer), one[..., :1])
        assert network.batches == [1, 8]

    serve(test, batching=Batching(max_batch=8, max_delay_ms=2000))


def test_tensors_and_pictures_share_runs(serve, network):
    """The pipeline's canvas and a tensor of its size are the same to the network."""
    data, one = photo(200, 300), image(side=256)

    async def test(client, service):
        waiting = [
            client.post("/v1/cv_unet", content=data, params={"size": 256}),
            client.post(PIPELINE, **pictures(data, size=256)),
            client.post(NETWORK, **tensor(one)),
        ]
        first, second, third = await together(client, service, network, *waiting)
        expected = alone(data, size=256)
        np.testing.assert_array_equal(pixels(first.content), expected)
        np.testing.assert_array_equal(pixels(results_of(second)[0]), expected)
        np.testing.assert_array_equal(alpha_of(third), one[..., :1])
        assert network.batches == [1, 3]

    serve(test, batching=Batching(max_batch=8, max_delay_ms=2000))


def test_each_picture_of_a_request_takes_a_place(serve, network):
    async def test(client, service):
        hold = Hold(network)
        files = [photo(64, 64, seed) for seed in range(3)]
        waiting = asyncio.create_task(client.post(PIPELINE, **pictures(*files)))
        await until(lambda: service.under_way == 3)
        refused = await client.post(PIPELINE, **pictures(*files[:2]))
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        await until(lambda: service.under_way == 3)
        hold.release.set()
        for data, result in zip(files, results_of(await waiting), strict=True):
            np.testing.assert_array_equal(pixels(result), alone(data))

    serve(test, limits=Limits(queue=4, workers=2))


def test_a_full_queue_is_429_for_tensors(serve, network):
    async def test(client, service):
        hold = Hold(network)
        waiting = asyncio.create_task(client.post(NETWORK, **tensor(image())))
        await until(hold.entered.is_set)
        refused = await client.post(NETWORK, **tensor(image()))
        assert (refused.status_code, refused.json()["error"][:20]) == (429, "all 1 places of the ")
        hold.release.set()
        alpha_of(await waiting)

    serve(test, limits=Limits(queue=1, workers=2))


def test_past_the_time_limit_it_is_504(serve, network):
    async def test(client, service):
        hold = Hold(network)
        first = await client.post(NETWORK, **tensor(image()))
        assert first.status_code == 504
        assert first.json()["error"].startswith("not done within the time limit of 0.4 s")
        hold.release.set()
        await until(lambda: not service.under_way)

    serve(test, limits=Limits(seconds=0.4, workers=2))


def test_the_clients_own_timeout_can_only_shorten_the_limit(serve, network):
    async def test(client, service):
        hold = Hold(network)
        first = asyncio.create_task(client.post(NETWORK, **tensor(image())))
        await until(hold.entered.is_set)
        second = asyncio.create_task(client.post(NETWORK, **tensor(image(), parameters={"timeout": 100_000})))
        await until(lambda: service.under_way == 2)
        await asyncio.sleep(0.2)
        hold.release.set()
        alpha_of(await first)
        answer = await second
        assert (answer.status_code, "0.1 s" in answer.json()["error"]) == (504, True)
        assert network.batches == [1]
        for long in (0, 60_000_000, 10**300):
            assert (await client.post(NETWORK, **tensor(image(), parameters={"timeout": long}))).status_code == 200
        for wrong in (-1, True, "soon"):
            answer = await client.post(NETWORK, **tensor(image(), parameters={"timeout": wrong}))
            assert (answer.status_code, "'timeout' is not a whole number" in answer.text) == (400, True)

    serve(test, batching=Batching(max_batch=1), limits=Limits(seconds=20, workers=2))


def test_a_request_that_waited_past_its_time_is_not_read(serve, monkeypatch):
    read, release = [], threading.Event()
    monkeypatch.setattr(wire, "read", lambda *given: read.append(given))

    async def test(client, service):
        ahead = asyncio.create_task(service.on_host(lambda: release.wait(30)))
        for path, request in ((NETWORK, tensor(image())), (PIPELINE, pictures(photo(64, 64)))):
            assert (await client.post(path, **request)).status_code == 504
        release.set()
        await ahead
        await until(lambda: not service.under_way)
        assert not read

    serve(test, limits=Limits(workers=1, seconds=0.3))


def test_no_more_elements_are_made_of_a_body_than_its_shape_has(serve):
    """33 KB of gzip hold 32 MiB of lengths, each 0. What is behind the second here is damaged, and nobody sees it."""
    raw = bytes(8) + b"\xff\xff"
    entry = {"name": "image", "datatype": "BYTES", "shape": [1, 1], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [entry]}).encode()

    async def test(client, service):
        answer = await client.post(PIPELINE, content=head + raw, headers={LENGTH: str(len(head))})
        assert (answer.status_code, answer.json()["error"]) == (
            400,
            "input 'image' has more elements than the 1 of its shape [1, 1]; send so many",
        )

    serve(test)


def test_a_body_past_the_limit_is_413_compressed_or_not(serve):
    large = tensor(np.zeros((2, 256, 256, 3), np.uint8))
    bomb = gzip.compress(bytes(50_000_000))

    async def test(client, service):
        plain = await client.post(NETWORK, **large)
        assert (plain.status_code, "larger than the limit" in plain.json()["error"]) == (413, True)
        packed = {
            "content": zlib.compress(large["content"]),
            "headers": {**large["headers"], "content-encoding": "deflate"},
        }
        assert len(bomb) < 100_000
        for request in (packed, {"content": bomb, "headers": {"content-encoding": "gzip"}}):
            answer = await client.post(NETWORK, **request)
            assert (answer.status_code, "content is larger" in answer.json()["error"]) == (413, True)

    serve(test, limits=Limits(upload=300_000, workers=2))


def test_large_tensors_in_json_are_413_and_told_to_come_as_binary(serve, monkeypatch):
    monkeypatch.setattr(wire, "JSON_LIMIT", 2000)
    entry = {"name": "image", "datatype": "UINT8", "shape": [1, 64, 64, 3], "data": [0] * 64 * 64 * 3}

    async def test(client, service):
        answer = await client.post(NETWORK, content=json.dumps({"inputs": [entry]}))
        assert (answer.status_code, "send tensors of this size as binary data" in answer.text) == (413, True)

    serve(test)


def test_a_large_answer_in_json_is_told_to_be_asked_for_as_binary(serve, monkeypatch):
    monkeypatch.setattr(tensors, "JSON_ELEMENTS", 64 * 64)

    async def test(client, service):
        for side, status in ((64, 200), (65, 400)):
            request = tensor(image(side=side), outputs=[{"name": "alpha", "parameters": {"binary_data": False}}])
            answer = await client.post(NETWORK, **request)
            assert answer.status_code == status
        assert "has 4,225 elements, and JSON has at most 4,096 of them here" in answer.json()["error"]

    serve(test)


def test_what_the_network_cannot_compute_is_the_clients_mistake_and_opens_no_breaker(serve, network):
    async def test(client, service):
        for side in (16, 63):
            for _ in range(6):
                answer = await client.post(NETWORK, **tensor(image(side=side)))
                assert answer.status_code == 400
                sentence = f"axis H of input 'image' is {side}; model 'cv_unet_matting' needs at least 64"
                assert answer.json()["error"] == sentence
        assert network.batches == []
        assert (await client.get("/v2/health/ready")).status_code == 200

    serve(test)


def test_the_profiles_of_engines_yaml_bound_what_may_be_asked(serve):
    from trtkit import config

    async def test(client, service):
        served = service.models["cv_unet"]
        served.bounds = {"matting": config.load().network("cv_unet", "matting").profiles}
        answer = await client.post(NETWORK, **tensor(image(side=128)))
        assert answer.status_code == 400
        assert (
            "takes image [1, 256, 256, 3] to [8, 512, 512, 3]; or image [1, 512, 512, 3] to" in answer.json()["error"]
        )
        assert alpha_of(await client.post(NETWORK, **tensor(image(side=256)))).shape == (1, 256, 256, 1)

    serve(test)


def test_a_broken_network_is_not_ready_and_says_why(serve, network):
    def broken(_) -> None:
        raise RuntimeError("the device fell off")

    async def test(client, service):
        network.before = broken
        for _ in range(2):
            answer = await client.post(NETWORK, **tensor(image()))
            assert (answer.status_code, "the device fell off" in answer.json()["error"]) == (503, True)
        for model in ("cv_unet", "cv_unet_matting"):
            ready = await client.get(f"/v2/models/{model}/ready")
            assert (ready.status_code, "failed 2 times in a row" in ready.json()["error"]) == (400, True)
        index = (await client.post("/v2/repository/index")).json()
        assert {one["state"] for one in index} == {"UNAVAILABLE"}
        assert "the device fell off" in index[0]["reason"]
        assert (await client.post("/v2/repository/index", json={"ready": True})).json() == []

    serve(test, limits=Limits(failures=2, cool_down=60, workers=2))


def test_keys_guard_the_protocol_but_not_health(serve):
    key = "a-key-of-some-length"

    async def test(client, service):
        for method, path in (("GET", "/v2"), ("GET", "/v2/models/cv_unet"), ("POST", NETWORK)):
            assert (await client.request(method, path)).status_code == 401
        assert (await client.get("/v2/health/ready")).status_code == 200
        given = tensor(image())
        given["headers"]["authorization"] = f"Bearer {key}"
        alpha_of(await client.post(NETWORK, **given))

    serve(test, keys=(key,))


def test_a_client_that_leaves_drops_every_picture_of_its_request(serve, network):
    async def test(client, service):
        hold = Hold(network)
        first = asyncio.create_task(client.post(NETWORK, **tensor(image())))
        await until(hold.entered.is_set)
        app = client._transport.app
        request = pictures(*(photo(64, 64, seed) for seed in range(3)))
        gone, sent = asyncio.Event(), []

        async def receive():
            if not sent:
                sent.append(True)
                return {"type": "http.request", "body": request["content"], "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            return None

        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http"}
        scope |= {"path": PIPELINE, "raw_path": PIPELINE.encode(), "query_string": b"", "root_path": ""}
        scope |= {"headers": [(LENGTH.lower().encode(), request["headers"][LENGTH].encode())]}
        scope |= {"server": ("server", 80), "client": ("client", 1)}
        left = asyncio.create_task(app(scope, receive, send))
        batcher = service.models["cv_unet"].networks["matting"]
        await until(lambda: batcher.depth == 3)
        gone.set()
        await left
        hold.release.set()
        alpha_of(await first)
        await until(lambda: not service.under_way)
        assert (network.batches, batcher.counts.dropped) == ([1], 3)

    serve(test, batching=Batching(max_batch=4))


def test_a_large_request_never_holds_up_the_loop(serve, network):
    """Health answers while the network runs."""

    async def test(client, service):
        hold = Hold(network)
        waiting = asyncio.create_task(client.post(NETWORK, **tensor(image(rows=2, side=512))))
        await until(hold.entered.is_set)
        assert (await client.get("/v2/health/live")).status_code == 200
        hold.release.set()
        assert alpha_of(await waiting).shape == (2, 512, 512, 1)

    serve(test)


MALFORMED = [
    ({"inputs": "x"}, "not an object with 'inputs', a list of tensors"),
    ({"inputs": [1]}, "an entry of 'inputs' is not an object with 'name'"),
    ({"inputs": [], "parameters": []}, "'parameters' of the request is not an object"),
    ({"inputs": [], "id": 7}, "'id' is not a string"),
    ({"inputs": [], "outputs": [{}]}, "'outputs' is not a list of objects with 'name'"),
    ({"inputs": [], "outputs": [{"name": "alpha", "parameters": {"classification": 2}}]}, "asks for 'classification'"),
    ({"inputs": [{"name": "image", "shape": [1]}]}, "has no 'datatype'"),
    ({"inputs": [{"name": "image", "datatype": "UINT8", "shape": [True]}]}, "has no 'shape' that is a list of whole"),
    (
        {"inputs": [{"name": "i\nj", "datatype": "UINT8", "shape": [1], "data": [1]}]},
        "unexpected inference input 'i?j'",
    ),
    (
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1], "parameters": {"binary_data_size": -1}}]},
        "binary_data_size is not a whole number",
    ),
    (
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1], "parameters": {"shared_memory_region": "r"}}]},
        "is in shared memory, which is not offered here",
    ),
    (
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 64, 64, 3], "data": [300] * 12288}]},
        "a number in its 'data' that UINT8 cannot hold",
    ),
    (
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 64, 64, 3], "data": [True] * 12288}]},
        "something else than UINT8 in its 'data'",
    ),
    (
        {"inputs": [{"name": "image", "datatype": "UINT8", "shape": [0, 64, 64, 3], "data": []}]},
        "with nothing empty, got [0, 64, 64, 3]",
    ),
]


@pytest.mark.parametrize(("request_", "sentence"), MALFORMED, ids=[sentence for _, sentence in MALFORMED])
def test_a_malformed_request_is_400_with_one_sentence(serve, request_, sentence):
    async def test(client, service):
        answer = await client.post(NETWORK, json=request_)
        assert answer.status_code == 400, answer.text
        assert sentence in answer.json()["error"]
        assert "\n" not in answer.json()["error"]

    serve(test)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 200_000, 400),  # deeper than any parser recurses
        (
            b'{"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1], "data": '
            + b"[" * 900
            + b"]" * 900
            + b"}]}",
            400,
        ),
        (b'{"inputs": [' + b"1" * 10_000 + b"]}", 400),  # a number longer than Python reads
        (b"\xff\xfe", 400),
        (b"", 400),
    ],
)
def test_hostile_json_is_400(serve, body, status):
    async def test(client, service):
        assert (await client.post(NETWORK, content=body)).status_code == status
        alpha_of(await client.post(NETWORK, **tensor(image())))

    serve(test)


def test_every_endpoint_that_the_api_page_lists_is_there(serve):
    async def test(client, service):
        paths = (await client.get("/openapi.json")).json()["paths"]
        listed = [(method, path) for path, methods in paths.items() for method in methods if path.startswith("/v2")]
        assert len(listed) == 9
        for method, path in listed:
            answer = await client.request(method.upper(), path.replace("{model}", "cv_unet"))
            assert answer.status_code in (200, 400), path
            assert path in (await client.get("/docs")).text

    serve(test)


def test_a_picture_as_json_text_is_told_to_come_as_binary(serve):
    async def test(client, service):
        request = pictures(photo(64, 64))
        length = int(request["headers"][LENGTH])
        head = json.loads(request["content"][:length])
        head["parameters"]["binary_data_output"] = False
        changed = json.dumps(head).encode()
        body = changed + request["content"][length:]
        answer = await client.post(PIPELINE, content=body, headers={LENGTH: str(len(changed))})
        assert (answer.status_code, answer.json()["error"]) == (
            400,
            "output 'result' is no text, so JSON cannot hold it; ask for it with binary_data",
        )

    serve(test)


@pytest.mark.parametrize("data", [["\ud800"], [7], [None]])
def test_what_is_no_text_is_no_bytes_tensor(serve, data):
    """Half of a surrogate pair is valid JSON and no text."""

    async def test(client, service):
        request = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1, 1], "data": data}]}
        answer = await client.post(PIPELINE, content=json.dumps(request).encode())
        assert (answer.status_code, answer.json()["error"]) == (
            400,
            "input 'image' is BYTES; right would be strings in 'data', or binary data",
        )

    serve(test)
