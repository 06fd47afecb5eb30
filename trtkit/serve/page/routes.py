"""The page's files, and the session that it opens with an API key."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from trtkit.serve.access import COOKIE, Keys, session_in
from trtkit.serve.answers import answer, json_answer
from trtkit.serve.refusal import Refused

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

_HEADERS = {
    # Nothing from elsewhere, nothing inline, in nobody's frame. blob: is what the page itself makes of pictures.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


async def index(request: Request) -> Response:
    return _file(request, "index.html")


async def static(request: Request) -> Response:
    return _file(request, request.path_params["name"])


async def login(request: Request) -> Response:
    """POST with a key as any request has it: a cookie stands for it until the server ends or the browser closes, a week
    at most."""
    keys: Keys = request.app.state.keys
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if not keys:
        return json_answer({"keys": False})
    if scheme.lower() != "bearer" or not keys.knows(key.strip()):
        raise Refused(401, "this is not a key of this server; ask whoever runs it for one")
    done = json_answer({"keys": True})
    # Strict: a page of another site cannot make the browser send it. HttpOnly: no script can read it.
    done.set_cookie(
        COOKIE, keys.session(key.strip()), httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return done


async def logout(request: Request) -> Response:
    """POST with the cookie, which opens nothing after that, wherever else it may be."""
    keys: Keys = request.app.state.keys
    keys.end_session(session_in(request.headers.get("cookie", "")))
    done = json_answer({})
    done.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return done


def _file(request: Request, name: str) -> Response:
    found = _all().get(name)
    if found is None:
        raise Refused(404, f"the page has no file '{name[:80]}'")
    content, media_type, etag = found
    headers = {**_HEADERS, "ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return answer(b"", media_type, 304, headers)
    return answer(content, media_type, headers=headers)


@cache
def _all() -> dict[str, tuple[bytes, str, str]]:
    """Name → content, media type, ETag. Only what is listed here can be asked for, so no path leads elsewhere."""
    return dict(_below(files("trtkit.serve.page") / "static", ""))


def _below(folder: Traversable, prefix: str) -> list[tuple[str, tuple[bytes, str, str]]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _below(entry, f"{prefix}{entry.name}/")
        else:
            content = entry.read_bytes()
            media_type = _TYPES.get("." + entry.name.rpartition(".")[2], "text/plain")
            etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            found.append((prefix + entry.name, (content, media_type, etag)))
    return found
