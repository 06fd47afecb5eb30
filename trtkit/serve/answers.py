"""Answers of every endpoint: JSON, and a refusal as its status and one sentence."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from trtkit.optional import need
from trtkit.serve.refusal import Refused

if TYPE_CHECKING:
    from starlette.responses import Response


def answer(body: bytes, media_type: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    response: Response = need("starlette.responses", "the server").Response(
        body, status_code=status, media_type=media_type, headers=headers
    )
    return response


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return answer(json.dumps(content).encode(), "application/json", status, headers)


def refusal_answer(refused: Refused) -> Response:
    """{"error": sentence}, as the inference protocol has it, for every endpoint."""
    headers = {}
    if refused.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(refused.retry_after))
    if refused.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if refused.status in (408, 413):
        headers["Connection"] = "close"  # the rest of the body is not read
    return json_answer({"error": str(refused)}, refused.status, headers)
