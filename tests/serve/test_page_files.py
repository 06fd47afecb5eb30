"""What the page is made of, and what its endpoints promise, without a browser."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from trtkit import models
from trtkit.models.imported.model import imported
from trtkit.serve.negotiate import PROGRESS

from .conftest import alone
from .tiny import photo, pixels

KEY = "a-key-of-at-least-16"


def test_every_file_of_the_page_is_served_with_a_strict_policy(serve):
    async def test(client, service):
        page = await client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert not re.findall(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|https?://", page.text)
        named = re.findall(r'(?:src|href)="(static/[^"]+)"', page.text)
        assert len(set(named)) == 3
        for path in named:
            answer = await client.get(f"/{path}")
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "http" not in policy

    serve(test)


def test_files_are_asked_for_again_only_when_they_changed_and_none_lies_elsewhere(serve):
    async def test(client, service):
        first = await client.get("/static/app.js")
        again = await client.get("/static/app.js", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        for path in ("/static/../routes.py", "/static/%2e%2e/routes.py", "/static/none.js", "/static/"):
            assert (await client.get(path)).status_code == 404

    serve(test)


def test_a_key_opens_a_session_and_the_page_itself_needs_none(serve):
    async def test(client, service):
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/v1")).status_code == 401
        answer = await client.post("/login", headers={"authorization": "Bearer wrong"})
        assert answer.status_code == 401
        assert answer.json()["error"] == "this is not a key of this server; ask whoever runs it for one"
        answer = await client.post("/login", headers={"authorization": f"Bearer {KEY}"})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert KEY not in cookie
        assert (await client.get("/v1")).json()["keys"] is True  # httpx sends the cookie
        held = client.cookies["trtkit_session"]
        await client.post("/logout")
        assert (await client.get("/v1")).status_code == 401
        again = {"cookie": f"trtkit_session={held}"}
        assert (await client.get("/v1", headers=again)).status_code == 401, "wherever else the cookie was"

    serve(test, keys=(KEY,))


def _told(body: bytes) -> tuple[list[dict], bytes]:
    """The lines of an answer with progress, and the bytes behind the last."""
    lines = []
    while body:
        line, _, body = body.partition(b"\n")
        lines.append(json.loads(line))
        if "stage" not in lines[-1]:
            break
    return lines, body


def test_an_answer_tells_its_stages_and_ends_with_the_result(serve):
    data = photo(200, 300)

    async def test(client, service):
        answer = await client.post("/v1/cv_unet", content=data, headers={"accept": f"image/png, {PROGRESS}"})
        assert (answer.status_code, answer.headers["content-type"]) == (200, PROGRESS)
        (*stages, last), body = _told(answer.content)
        began = [line["stage"] for line in stages if "ms" not in line]
        ended = [line["stage"] for line in stages if "ms" in line]
        assert began == ended == ["queue", "decode", "resize", "run", "upsample", "compose", "encode"]
        assert last == {"type": "image/png", "bytes": len(body)}
        np.testing.assert_array_equal(pixels(body), alone(data))

    serve(test)


@pytest.mark.parametrize(
    ("content", "status", "sentence"), [(b"hello", 400, "is not an image"), (photo(3100, 3000), 413, "over the limit")]
)
def test_a_refusal_after_the_answer_has_begun_is_its_last_line(serve, caplog, content, status, sentence):
    async def test(client, service):
        answer = await client.post("/v1/cv_unet", content=content, headers={"accept": f"{PROGRESS}, */*"})
        (*_, last), body = _told(answer.content)
        assert (last["status"], body) == (status, b"")
        assert sentence in last["error"]
        metrics = (await client.get("/metrics")).text
        assert f'trtkit_answers_total{{route="/v1/{{model}}",status="{status}"}} 1.0' in metrics

    with caplog.at_level("INFO", "trtkit.serve.access"):
        serve(test)
    assert f'"status": {status}' in caplog.text


def test_a_failing_network_is_a_last_line_too(serve, network):
    def fail(arrays):
        raise RuntimeError("the device fell off the bus")

    async def test(client, service):
        network.before = fail
        answer = await client.post("/v1/cv_unet", content=photo(64, 64), headers={"accept": f"{PROGRESS}, */*"})
        (*_, last), _ = _told(answer.content)
        assert last["status"] == 503
        assert "the device fell off the bus" in last["error"]
        assert last["retry_after"] == 1

    serve(test)


def test_what_a_client_may_shrink_is_stated_in_terms_of_the_models_own_options():
    for name in models.NAMES:
        model = models.get(name)
        if model.useful is None:
            continue
        options = {option.name: option for option in model.served}
        if isinstance(model.useful.pixels, str):
            assert options[model.useful.pixels].kind == "whole"
        if model.useful.matte:
            assert options[model.useful.matte].kind == "yes-no"
        for option, value in model.useful.unless:
            assert value in options[option].choices


def test_an_imported_graph_is_sent_the_whole_picture_and_has_its_own_options(tmp_path):
    model = imported(models.get("cv_unet"), SimpleNamespace(networks={}), tmp_path)
    assert [option.name for option in model.served] == ["background", "alpha_only"]
    assert model.useful is None
