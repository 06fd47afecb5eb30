"""The image endpoints: right answers, whatever the way of asking; one sentence for everything else."""

import asyncio
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from trtkit.config import Batching
from trtkit.serve.limits import Limits

from .conftest import alone
from .tiny import photo, pixels


def test_a_raw_body_gives_what_the_pipeline_alone_gives(serve):
    data = photo(300, 400)

    async def test(client, service):
        answer = await client.post("/v1/cv_unet", content=data)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        np.testing.assert_array_equal(pixels(answer.content), alone(data))

    serve(test)


def test_a_form_with_one_file_gives_the_same(serve):
    data = photo(300, 400, kind="PNG")

    async def test(client, service):
        answer = await client.post("/v1/cv_unet", files={"image": ("a.png", data)}, data={"note": "x"})
        np.testing.assert_array_equal(pixels(answer.content), alone(data))

    serve(test)


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ({"alpha_only": "true"}, {"alpha_only": True}),
        ({"background": "white"}, {"background": "white"}),
        ({"size": "256"}, {"size": 256}),
    ],
)
def test_the_options_of_the_pipeline_are_query_parameters(serve, query, options):
    data = photo(200, 160)

    async def test(client, service):
        answer = await client.post("/v1/cv_unet", content=data, params=query)
        np.testing.assert_array_equal(pixels(answer.content), alone(data, **options))

    serve(test)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "image/png"),
        ("image/*", "image/png"),
        ("image/webp", "image/webp"),
        ("text/html, image/webp;q=0.5, */*;q=0.1", "image/webp"),
        ("image/png;q=0, image/*;q=0.3", "image/webp"),
        ("", "image/png"),
    ],
)
def test_the_accept_header_decides_the_kind_of_answer(serve, accept, media_type):
    async def test(client, service):
        answer = await client.post("/v1/cv_unet", content=photo(64, 64), headers={"accept": accept})
        assert answer.headers["content-type"] == media_type
        assert f"image/{Image.open(io.BytesIO(answer.content)).format.lower()}" == media_type

    serve(test)


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that says it has very many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


WRONG = [
    ("truncated", {"content": photo(300, 300)[:3000]}, 400, "cut short or damaged"),
    ("empty", {"content": b""}, 400, "is empty (0 bytes)"),
    ("no picture", {"content": b"hello" * 100}, 400, "is not an image that can be read"),
    ("a bomb", {"content": bomb(50000, 50000)}, 413, "50000x50000, 2500.0 megapixels, over the limit of 9; send"),
    ("too many pixels", {"content": bomb(3001, 3000)}, 413, "3001x3000, 9.0 megapixels, over the limit of 9; send"),
    ("too many bytes", {"content": b"x" * 200_001}, 413, "larger than the limit of"),
    ("json", {"json": {"url": "http://127.0.0.1/"}}, 415, "the body is 'application/json'; right would be a picture"),
    ("two files", {"files": [("a", ("a", b"x")), ("b", ("b", b"x"))]}, 400, "the form has 2 files"),
    ("no file", {"data": {"a": "b"}, "files": {}}, 415, "right would be a picture"),
    (
        "half a form",
        {"content": b"--x\r\nContent-Disp", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        400,
        "the form is cut short",
    ),
    ("a form of nothing", {"content": b"?", "headers": {"content-type": "multipart/form-data"}}, 400, "no boundary"),
    ("unknown option", {"params": {"speed": "11"}}, 400, "option 'speed' is not one of cv_unet's; its options: size"),
    ("option twice", {"params": [("size", "256"), ("size", "512")]}, 400, "option 'size' is there twice"),
    ("size too large", {"params": {"size": "100000"}}, 400, "a whole number from 256 to 1024"),
    ("a path", {"params": {"background": "/etc/hostname"}}, 400, "right would be a colour"),
    (
        "options at odds",
        {"params": {"background": "red", "alpha_only": "1"}},
        400,
        "'background' and 'alpha_only' exclude each other",
    ),
    ("no such answer", {"headers": {"accept": "text/html"}}, 406, "the answer can be image/png"),
    ("alpha in JPEG", {"headers": {"accept": "image/jpeg"}}, 400, "has no transparency; ask for PNG or WebP, or set"),
]


@pytest.mark.parametrize(("what", "request_", "status", "sentence"), WRONG, ids=[wrong[0] for wrong in WRONG])
def test_what_is_wrong_has_a_status_and_one_sentence(serve, what, request_, status, sentence):
    request_ = {"content": photo(64, 64), **request_} if not {"json", "files"} & set(request_) else request_

    async def test(client, service):
        answer = await client.post("/v1/cv_unet", **request_)
        assert answer.status_code == status, answer.text
        error = answer.json()["error"]
        assert sentence in error
        assert "\n" not in error
        assert "trtkit/" not in error
        assert "--" not in error, "that is the command line's"
        good = await client.post("/v1/cv_unet", content=photo(64, 64))
        assert good.status_code == 200

    serve(test, limits=Limits(upload=200_000, workers=2))


def test_an_unknown_model_and_an_unknown_path_say_what_there_is(serve):
    async def test(client, service):
        answer = await client.post("/v1/yolo", content=b"")
        assert (answer.status_code, answer.json()["error"]) == (
            404,
            "model 'yolo' is not served here; served are: cv_unet",
        )
        assert "GET /docs lists them" in (await client.get("/nothing")).json()["error"]
        assert (await client.get("/v1/cv_unet")).status_code == 405

    serve(test)


def test_a_background_of_a_files_name_is_a_colour_or_refused(serve, in_empty_folder):
    (in_empty_folder / "red").write_bytes(photo(8, 8))
    data = photo(64, 64)

    async def test(client, service):
        answer = await client.post("/v1/cv_unet", content=data, params={"background": "red"})
        np.testing.assert_array_equal(pixels(answer.content), alone(data, background="255,0,0"))

    serve(test)


def test_pictures_of_different_sizes_share_a_run_and_each_gets_its_own(serve, network):
    pictures = [photo(100 + 30 * number, 200 - 15 * number, seed=number) for number in range(8)]

    async def test(client, service):
        answers = await asyncio.gather(*(client.post("/v1/cv_unet", content=data) for data in pictures))
        for data, answer in zip(pictures, answers, strict=True):
            np.testing.assert_array_equal(pixels(answer.content), alone(data))
        assert sum(network.batches) == 8
        assert max(network.batches) > 1

    serve(test, batching=Batching(max_batch=8, max_delay_ms=2000))


def test_docs_and_openapi_state_each_option(serve):
    async def test(client, service):
        document = (await client.get("/openapi.json")).json()
        parameters = {p["name"]: p for p in document["paths"]["/v1/cv_unet"]["post"]["parameters"]}
        assert parameters["size"]["schema"] == {"type": "integer", "minimum": 256, "maximum": 1024, "default": 512}
        page = (await client.get("/docs")).text
        assert "alpha_only" in page
        assert "http" not in page.replace("HTTP", "")  # nothing from another host
        assert (await client.get("/v1")).json()["limits"]["megapixels"] == 9

    serve(test)
