"""An answer that says how far the request is: a line of JSON for each stage, then the result's own bytes.

One request and one answer, so it works behind a balancer and nothing has to be remembered between requests. Asked for
by naming the media type in Accept, beside those of the result. The status is 200 before the end is known, so a refusal
is the last line, with the status it would have had.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from trtkit.errors import TrtkitError
from trtkit.models.pipeline import Watcher
from trtkit.serve.negotiate import PROGRESS
from trtkit.serve.refusal import as_refusal
from trtkit.serve.way import Result

log = logging.getLogger("trtkit.serve")

_HEADERS = [(b"content-type", PROGRESS.encode()), (b"cache-control", b"no-store"), (b"vary", b"Accept")]
_HEADERS += [(b"x-accel-buffering", b"no")]  # else nginx keeps the lines until the end


class ProgressAnswer:
    """An ASGI answer around `work`, the coroutine function that makes the result and tells the watcher on the way.

    `note` is the request's line in the log. Lines: {"stage": name} as it begins, {"stage": name, "ms": spent} as it
    ends; at last {"type": media type, "bytes": length} with the bytes behind it, or {"error": sentence, "status": n}.
    """

    def __init__(self, work: Callable[[Watcher], Awaitable[Result]], media_type: str, note: dict[str, Any]) -> None:
        self._work, self._media_type, self._note = work, media_type, note

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        loop = asyncio.get_running_loop()
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()

        def told(stage: str, seconds: float | None) -> None:
            said: dict[str, Any] = {"stage": stage}
            if seconds is not None:
                said["ms"] = round(seconds * 1e3, 1)
            loop.call_soon_threadsafe(lines.put_nowait, _line(said))

        task = asyncio.ensure_future(self._work(told))
        task.add_done_callback(lambda _: lines.put_nowait(None))
        try:
            await asyncio.sleep(0)  # so that it has begun, and with it who gives the request's place back
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            while (line := await lines.get()) is not None:
                await send({"type": "http.response.body", "body": line, "more_body": True})
            await send({"type": "http.response.body", "body": self._last(task)})
        finally:
            task.cancel()  # only where sending failed: else it is done

    def _last(self, task: asyncio.Future[Result]) -> bytes:
        error = task.exception()
        if error is None:
            result = task.result()
            return _line({"type": self._media_type, "bytes": len(result.body)}) + result.body
        refused = as_refusal(error)
        if not isinstance(error, TrtkitError):
            log.error("a request failed", exc_info=error)
        self._note.update(error=str(refused), status=refused.status)
        last: dict[str, Any] = {"error": str(refused), "status": refused.status}
        if refused.retry_after is not None:
            last["retry_after"] = refused.retry_after
        return _line(last)


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode() + b"\n"
