"""The protocol's endpoints."""

from __future__ import annotations

from trtkit.optional import need
from trtkit.serve.protocol import metadata, statistics
from trtkit.serve.protocol.infer import infer


def routes() -> list:
    """Starlette routes, beside those of health, which the server has for itself."""
    route = need("starlette.routing", "trtkit serve").Route
    found = [
        route("/v2", metadata.server),
        route("/v2/models/stats", statistics.of_all),
        route("/v2/repository/index", metadata.index, methods=["POST"]),
        route("/v2/repository/models/{model}/load", metadata.fixed, methods=["POST"]),
        route("/v2/repository/models/{model}/unload", metadata.fixed, methods=["POST"]),
    ]
    for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
        found += [
            route(path, metadata.model),
            route(f"{path}/ready", metadata.model_ready),
            route(f"{path}/config", metadata.config),
            route(f"{path}/stats", statistics.of_one),
            route(f"{path}/infer", infer, methods=["POST"]),
        ]
    return found
