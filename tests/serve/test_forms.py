"""Forms: the one file in them is found whatever stands around it; what is hostile costs next to nothing."""

import asyncio
import threading

import pytest

from trtkit.serve import form, images
from trtkit.serve.form import only_file
from trtkit.serve.limits import Limits
from trtkit.serve.refusal import Refused

from .test_limits import until
from .tiny import photo

TYPE = "multipart/form-data; boundary=b"
HEADERS = {"content-type": TYPE}
FILE = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
FIELD = b"--b\r\na:\r\n\r\n\r\n"
END = b"\r\n--b--\r\n"


@pytest.mark.parametrize(
    "whole",
    [
        FILE + b"x\r\n--y" + END,
        b"\r\n" + FILE + b"x\r\n--y" + END,
        b"a preamble\r\n" + FILE + b"x\r\n--y" + END + b"an epilogue\r\n--b\r\n",
        FILE.replace(b"--b", b"--b \t") + b"x\r\n--y\r\n--b--",
        FILE.replace(b"Content-Disposition:", b"content-type: image/jpeg\r\ncontent-disposition :") + b"x\r\n--y" + END,
        FIELD * (form.PARTS - 1) + FILE + b"x\r\n--y" + END,
        b"--b\r\n\r\nno headers\r\n" + FILE + b"x\r\n--y" + END,
        b"--b\r\na: b\r\n\r\n" + FILE + b"x\r\n--y" + END,
        FILE + b"x\r\n--y\r\n" + FIELD + END,
    ],
)
def test_the_file_is_found_whatever_stands_around_it(whole):
    assert only_file(whole, TYPE) == (b"x\r\n--y", "a.jpg")


def test_a_file_may_be_empty_and_its_name_stands_in_a_sentence():
    assert only_file(FILE + END, TYPE) == (b"", "a.jpg")
    named = FILE.replace(b"a.jpg", "C:\\fo\x07to/ü\x07.jpg".encode())
    assert only_file(named + END, 'multipart/form-data; charset=utf-8; boundary="b"') == (b"", "ü?.jpg")


@pytest.mark.parametrize(
    ("whole", "sentence"),
    [
        (FIELD * form.PARTS + FILE + b"x" + END, "the form has more than 64 parts; right would be one picture"),
        (FILE + b"x\r\n" + FILE + b"y\r\n--b\r\n?", "the form has 2 files or more; right would be one picture"),
        (FIELD + END, "the form has no file; right would be one picture a request"),
        (b"--b--", "the form has no file"),
        (b"--b\r\na: " + b"x" * form.HEADER_BYTES, "a part of the form has more than 8 KiB of headers; send fewer"),
        (b"--b\r\n" + b"a:\r\n" * form.HEADER_BYTES, "a part of the form has more than 8 KiB of headers; send fewer"),
        (FILE + b"x\r\n--b?" + END, "the form is broken: a line of it begins with its boundary and goes on"),
        (FILE + b"x\r\n--b" + b" " * 100 + END, "the form is broken: a line of it begins with its boundary"),
        (b"--b\r\nno header" + END + b"\r\n\r\n\r\n--b--", "the form is broken: a part's header has no colon"),
        (b"hello", "the form is broken: the boundary of its Content-Type is nowhere in it; send it again"),
        (FILE + b"x", "the form is cut short: its last boundary is missing; send it again"),
        (FILE + b"x\r\n--b", "the form is cut short"),
        (FILE + b"x\r\n--b\r", "the form is cut short"),
        (FILE[:-1], "the form is cut short"),
    ],
)
def test_any_other_form_is_refused_in_a_sentence(whole, sentence):
    with pytest.raises(Refused) as refused:
        only_file(whole, TYPE)
    assert (refused.value.status, str(refused.value)[: len(sentence)]) == (400, sentence)


def test_a_form_is_read_beside_the_loop(serve, monkeypatch):
    """And costs no more than its first parts, however many it has: each was a step of Python."""
    release, threads = threading.Event(), []

    def held(*given):
        threads.append(threading.current_thread().name)
        assert release.wait(30)
        return only_file(*given)

    monkeypatch.setattr(images, "only_file", held)

    async def test(client, service):
        asked = asyncio.create_task(client.post("/v1/cv_unet", content=FIELD * 100_000, headers=HEADERS))
        await until(lambda: threads)
        assert (await client.get("/v2/health/live")).status_code == 200
        release.set()
        answer = await asked
        assert (answer.status_code, "more than 64 parts" in answer.json()["error"]) == (400, True)
        assert threads[0].startswith("trtkit-host")

    serve(test)


def test_a_form_that_waited_past_its_time_is_not_read(serve, monkeypatch):
    read = []
    monkeypatch.setattr(images, "only_file", lambda *given: read.append(given))
    release = threading.Event()

    async def test(client, service):
        ahead = asyncio.create_task(service.on_host(lambda: release.wait(30)))
        answer = await client.post("/v1/cv_unet", content=FILE + photo(64, 64) + END, headers=HEADERS)
        assert answer.status_code == 504
        release.set()
        await ahead
        await until(lambda: not service.under_way)
        assert not read

    serve(test, limits=Limits(workers=1, seconds=0.3))
