"""What every request passes: an id and one line in the log, and further in the check of its key.

Plain ASGI middlewares: Starlette's own base class would put each body through a queue more.
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from trtkit.serve.access import Keys, session_in
from trtkit.serve.answers import refusal_answer
from trtkit.serve.refusal import Refused

log = logging.getLogger("trtkit.serve.access")
errors = logging.getLogger("trtkit.serve")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

OPEN = ("/", "/login", "/logout", "/v2/health/live", "/v2/health/ready")
"""Paths that need no key: the page's own files tell nothing, a balancer asks after health without one."""

_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Gate:
    """Wraps the application. `counts` maps (route, status) to answers, for /metrics."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.counts: dict[tuple[str, int], int] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        given = _headers(scope).get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else f"{random.getrandbits(64):016x}"
        note: dict[str, Any] = {}
        scope.setdefault("state", {}).update(request_id=request_id, note=note)
        status, size, ended = 0, 0, False

        async def sending(message: Message) -> None:
            nonlocal status, size, ended
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                message["headers"] += [(b"x-content-type-options", b"nosniff")]
            else:
                size += len(message.get("body", b""))
                ended = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            errors.exception("request %s failed", request_id)
            if not ended:
                raise  # the answer has begun, or was never begun: the connection has to break
        finally:
            status = note.pop("status", status)  # known only after the answer had begun
            route = getattr(scope.get("route"), "path", "other")
            self.counts[route, status] = self.counts.get((route, status), 0) + 1
            if log.isEnabledFor(logging.INFO):
                line = {
                    "id": request_id,
                    "method": scope["method"],
                    "path": scope["path"],
                    "status": status,
                    "ms": round((time.perf_counter() - began) * 1e3, 1),
                    "bytes": size,
                }
                log.info(json.dumps(line | note))


class Keyed:
    """Lets those with a key into the application. What answers to pages of other origins (CORS) stands around it: a
    browser asks whether a page may call without a key, and the page could not read a refusal that says nothing of it.
    """

    def __init__(self, app: App, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._keys or self._may_pass(scope["path"], _headers(scope)):
            await self._app(scope, receive, send)
            return
        scope["state"]["note"]["error"] = "no key, or a wrong one"
        refused = Refused(401, "an API key is needed; send it as 'Authorization: Bearer KEY'")
        await refusal_answer(refused)(scope, receive, send)

    def _may_pass(self, path: str, headers: dict[str, str]) -> bool:
        if path in OPEN or path.startswith("/static/"):
            return True
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        key = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if key:
            return self._keys.knows(key)
        return self._keys.knows_session(session_in(headers.get("cookie", "")))


def _headers(scope: Message) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
