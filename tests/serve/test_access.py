"""Keys, addresses, origins: who may use the server, and what is said about it."""

import time

import pytest

from trtkit.errors import Mistake
from trtkit.serve import ended
from trtkit.serve.access import Keys, check_address, read_keys

from .tiny import photo

KEY = "a-key-of-at-least-16"


@pytest.mark.parametrize("headers", [{"authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}])
def test_with_keys_set_only_their_owners_come_in(serve, headers):
    async def test(client, service):
        for wrong in (
            {},
            {"authorization": "Bearer nothing"},
            {"x-api-key": KEY + "x"},
            {"cookie": "trtkit_session=a"},
        ):
            answer = await client.post("/v1/cv_unet", content=photo(64, 64), headers=wrong)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        assert (await client.post("/v1/cv_unet", content=photo(64, 64), headers=headers)).status_code == 200
        assert (await client.get("/metrics")).status_code == 401
        assert (await client.get("/v2/health/ready")).status_code == 200

    serve(test, keys=(KEY, "another-key-of-this-server"))


def test_no_origin_may_call_unless_it_was_named(serve):
    asked = {"origin": "https://site.example", "access-control-request-method": "POST"}

    async def closed(client, service):
        answer = await client.options("/v1/cv_unet", headers=asked)
        assert "access-control-allow-origin" not in answer.headers

    async def opened(client, service):
        answer = await client.options("/v1/cv_unet", headers=asked)
        assert answer.headers["access-control-allow-origin"] == "https://site.example"
        answer = await client.options("/v1/cv_unet", headers={**asked, "origin": "https://other.example"})
        assert "access-control-allow-origin" not in answer.headers

    async def keys_too(client, service):
        """A browser asks first, and without the key."""
        await opened(client, service)
        answer = await client.post("/v1/cv_unet", content=photo(64, 64), headers={"origin": "https://site.example"})
        assert answer.status_code == 401
        assert answer.headers["access-control-allow-origin"] == "https://site.example", "so that its page can read it"
        answer = await client.post("/v1/cv_unet", content=photo(64, 64), headers={"origin": "https://other.example"})
        assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (401, False)
        assert (await client.options("/v1/cv_unet")).status_code == 401
        headers = {"origin": "https://site.example", "x-api-key": KEY}
        answer = await client.post("/v1/cv_unet", content=photo(64, 64), headers=headers)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "https://site.example")

    async def nothing_else(client, service):
        """Without --cors the question is a request like any other, and so it is where it names no origin."""
        for headers in (asked, {"access-control-request-method": "POST"}):
            assert (await client.options("/v1/cv_unet", headers=headers)).status_code == 401

    async def no_endpoint(client, service):
        for path in ("/v1", "/metrics", "/docs", "/v2/models/cv_unet"):
            assert (await client.options(path, headers=asked)).text == "OK", "the same wherever it goes"
            assert (await client.get(path, headers=asked)).status_code == 401
        headers = {"access-control-request-method": "POST"}
        assert (await client.options("/v1", headers=headers)).status_code == 401

    serve(closed)
    serve(closed, keys=(KEY,))
    serve(nothing_else, keys=(KEY,))
    serve(no_endpoint, cors=("https://site.example",), keys=(KEY,))
    serve(opened, cors=("https://site.example",))
    serve(keys_too, cors=("https://site.example",), keys=(KEY,))


def test_a_page_of_a_named_origin_may_send_and_read_tensors_in_binary(serve):
    length = "inference-header-content-length"
    asked = {"origin": "https://site.example", "access-control-request-method": "POST"}
    asked["access-control-request-headers"] = f"authorization,content-encoding,content-type,{length}"

    async def test(client, service):
        answer = await client.options("/v2/models/cv_unet_matting/infer", headers=asked)
        assert (answer.status_code, answer.text) == (200, "OK")
        answer = await client.post("/v2/models/cv_unet_matting/infer", headers={"origin": "https://site.example"})
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {length, "retry-after", "server-timing", "x-request-id"} <= set(exposed)
        assert answer.headers["access-control-allow-origin"] == "https://site.example"

    serve(test, cors=("https://site.example",))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machines_own_addresses_need_no_keys(host):
    check_address(host, keys=False, no_auth=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "server.example"])
def test_other_addresses_need_keys_or_the_word(host):
    check_address(host, keys=True, no_auth=False)
    check_address(host, keys=False, no_auth=True)
    with pytest.raises(Mistake, match=f"--host {host} can be reached by others, and there are no API keys"):
        check_address(host, keys=False, no_auth=False)


def test_keys_come_from_a_file_or_the_environment_and_never_short(tmp_path, monkeypatch):
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{KEY}\n\n")
    assert read_keys(file) == [KEY]
    monkeypatch.setenv("TRTKIT_API_KEYS", f"{KEY}, {KEY}2")
    assert read_keys(None) == [KEY, KEY + "2"]
    file.write_text("short\n")
    with pytest.raises(Mistake, match="key 1 has 5 characters; right would be at least 16"):
        read_keys(file)
    file.write_text("# nothing\n")
    with pytest.raises(Mistake, match="has no key"):
        read_keys(file)
    with pytest.raises(Mistake, match="cannot be read"):
        read_keys(tmp_path / "absent")
    file.write_text(f"{KEY}\r\n", encoding="utf-8-sig")
    assert read_keys(file) == [KEY], "as an editor on Windows writes it"


@pytest.mark.parametrize("key", ["a-key-of-at-least-ümlaut", "a key of at least sixteen", "a-key-of-at-least\x07-16"])
def test_a_key_that_no_header_carries_is_told_at_once(tmp_path, key):
    (tmp_path / "keys").write_text(f"{KEY}\n{key}\n", encoding="utf-8")
    with pytest.raises(Mistake, match=r"key 2 has characters that no header carries; right would be plain ASCII"):
        read_keys(tmp_path / "keys")


def test_a_session_ends_with_the_process():
    keys = Keys([KEY])
    assert keys.knows_session(keys.session(KEY))
    assert not Keys([KEY]).knows_session(keys.session(KEY))
    assert not keys.knows_session(keys.session("another"))


def test_a_session_that_was_ended_opens_nothing_and_the_others_of_its_key_go_on():
    keys = Keys([KEY, "another-key-of-this-server"])
    one, other = keys.session(KEY), keys.session(KEY)
    keys.end_session(one)
    assert [keys.knows_session(session) for session in (one, other)] == [False, True]
    for no_session in ("", "x", "a.b.c", other[:-1], "\xff." + other):
        keys.end_session(no_session)
        assert not keys.knows_session(no_session)
    assert keys.knows_session(other)


def test_a_session_is_over_after_a_week_and_only_the_server_says_when(monkeypatch):
    keys, week = Keys([KEY]), 7 * 24 * 3600
    session, now = keys.session(KEY), time.time()
    name, until, signature = session.split(".")
    assert not keys.knows_session(f"{name}.{int(until) + week}.{signature}")
    monkeypatch.setattr(time, "time", lambda: now + week - 60)
    assert keys.knows_session(session)
    monkeypatch.setattr(time, "time", lambda: now + week + 60)
    assert not keys.knows_session(session)


def test_where_very_many_sessions_were_ended_the_one_that_is_over_first_is_forgotten():
    memory = memoryview(bytearray(ended.Ended.SIZE))[: 3 * ended.Ended.SIZE // 4096]
    last = ended.Ended(memory)
    names = [bytes([65 + number]) * ended.ID_BYTES for number in range(4)]
    for name, until in zip(names, (30, 10, 20, 40), strict=True):
        last.add(name, until)
    assert [name in ended.Ended(memory) for name in names] == [True, False, True, True]


def test_a_session_that_is_ended_again_and_again_puts_no_other_out_of_its_place():
    two_places = memoryview(bytearray(ended.Ended.SIZE))[: 2 * ended.Ended.SIZE // 4096]
    keys = Keys([KEY], ended=ended.Ended(two_places))
    first, second = keys.session(KEY), keys.session(KEY)
    for session in (first, second, second, second):
        keys.end_session(session)
    assert not keys.knows_session(first)


def test_a_key_is_never_in_the_log(serve, caplog):
    async def test(client, service):
        await client.post("/v1/cv_unet", content=b"x", headers={"x-api-key": KEY, "x-request-id": "mine-1"})
        answer = await client.post("/v1/cv_unet", content=b"x", headers={"x-request-id": "not; fit"})
        assert answer.headers["x-request-id"] != "not; fit"

    with caplog.at_level("INFO", "trtkit.serve.access"):
        serve(test, keys=(KEY,))
    assert '"id": "mine-1"' in caplog.text
    assert KEY not in caplog.text
