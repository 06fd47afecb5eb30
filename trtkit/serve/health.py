"""Health, for balancers and supervisors: alive is the process, ready is every model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtkit.serve.answers import answer
from trtkit.serve.refusal import Refused
from trtkit.serve.service import Service

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


async def live(request: Request) -> Response:
    return answer(b"", "text/plain")


async def ready(request: Request) -> Response:
    """200, or 503 with the reason: a breaker is open, or the server is shutting down."""
    service: Service = request.app.state.service
    if service.draining:
        raise Refused(503, "the server is shutting down")
    await service.refresh()
    if service.problems:
        raise Refused(503, "; ".join(f"{name}: {problem}" for name, problem in service.problems.items()))
    return answer(b"", "text/plain")
