"""The ASGI application: routes, and what is around them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from trtkit.errors import TrtkitError
from trtkit.optional import need
from trtkit.serve import health, images, metrics, openapi
from trtkit.serve.access import Keys
from trtkit.serve.answers import refusal_answer
from trtkit.serve.gate import App, Gate, Keyed
from trtkit.serve.page import routes as page
from trtkit.serve.protocol import routes as protocol
from trtkit.serve.protocol.wire import HEADER_LENGTH
from trtkit.serve.refusal import Refused, as_refusal
from trtkit.serve.service import Service

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response


def make_app(service: Service, keys: Keys, cors: Sequence[str] = ()) -> Gate:
    """The application on an opened service, which it closes when it shuts down. `cors` are the origins whose pages
    may call it; none by default. `.state` of the inner application holds the service, the keys and the gate."""
    applications = need("starlette.applications", "trtkit serve")
    route = need("starlette.routing", "trtkit serve").Route
    http_error = need("starlette.exceptions", "trtkit serve").HTTPException

    async def refuse(request: Request, error: Exception) -> Response:
        refused = as_refusal(error)
        request.state.note["error"] = str(refused)
        return refusal_answer(refused)

    async def no_route(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        sentence = f"{request.method} {request.url.path[:80]} is not an endpoint; GET /docs lists them"
        return refusal_answer(Refused(status, sentence))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        service.draining = True
        service.close()

    app = applications.Starlette(
        routes=[
            route("/", page.index),
            route("/static/{name:path}", page.static),
            route("/login", page.login, methods=["POST"]),
            route("/logout", page.logout, methods=["POST"]),
            route("/v1", images.list_models),
            route("/v1/{model}", images.picture, methods=["POST"]),
            route("/v2/health/live", health.live),
            route("/v2/health/ready", health.ready),
            *protocol.routes(),
            route("/metrics", metrics.metrics),
            route("/openapi.json", openapi.openapi),
            route("/docs", openapi.page),
        ],
        exception_handlers={http_error: no_route, TrtkitError: refuse, Exception: refuse},
        lifespan=lifespan,
    )
    gate = Gate(_open_to(cors, Keyed(app, keys)))
    app.state.service, app.state.keys, app.state.gate = service, keys, gate
    return gate


def _open_to(origins: Sequence[str], app: App) -> App:
    """The application as pages of these origins may call it, and read what it answers."""
    if not origins:
        return app
    length = HEADER_LENGTH.lower()
    opened: App = need("starlette.middleware.cors", "trtkit serve").CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "POST"],
        allow_headers=["authorization", "content-encoding", "content-type", length, "x-api-key", "x-request-id"],
        expose_headers=[length, "retry-after", "server-timing", "x-request-id"],
    )
    return opened
