"""The OpenAPI document of the image endpoints, made from what the models state, and the page that shows it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

from trtkit import __version__
from trtkit.models.served import ServedOption
from trtkit.models.spec import Model
from trtkit.serve.answers import answer, json_answer
from trtkit.serve.negotiate import kinds_of
from trtkit.serve.service import Service

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_REFUSALS = {
    400: "an option is wrong, or the file is damaged",
    401: "an API key is needed",
    406: "the Accept header allows no kind of answer that there is",
    408: "the body did not come in time",
    413: "too many bytes or pixels",
    415: "the body is not a picture",
    429: "the queue is full; Retry-After says when to try again",
    503: "a network does not work, or the server is shutting down",
    504: "not done within the time limit",
}


def document(service: Service) -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths: dict[str, Any] = {
        f"/v1/{name}": {"post": _operation(served.model)} for name, served in service.models.items()
    }
    paths["/v1"] = {"get": {"summary": "What is served", "responses": {"200": {"description": "models and limits"}}}}
    for kind, text in (("live", "the process answers"), ("ready", "every model works")):
        health: dict[str, Any] = {"200": {"description": text}}
        paths[f"/v2/health/{kind}"] = {"get": {"summary": f"Health: {text}", "responses": health}}
    paths |= _protocol()
    paths["/metrics"] = {"get": {"summary": "Prometheus metrics", "responses": {"200": {"description": "text"}}}}
    return {"openapi": "3.1.0", "info": {"title": "trtkit", "version": __version__}, "paths": paths}


def _protocol() -> dict[str, Any]:
    """The Open Inference Protocol's endpoints, which have a specification of their own."""
    about = {
        ("get", "/v2"): "Open Inference Protocol: the server and its extensions",
        ("post", "/v2/repository/index"): "Open Inference Protocol: every model and its state",
        ("get", "/v2/models/{model}"): "Open Inference Protocol: a model's tensors; also under …/versions/1",
        ("get", "/v2/models/{model}/ready"): "Open Inference Protocol: whether a model can be used",
        ("get", "/v2/models/{model}/config"): "Open Inference Protocol: a model's configuration",
        ("get", "/v2/models/{model}/stats"): "Open Inference Protocol: what a model has done",
        ("post", "/v2/models/{model}/infer"): "Open Inference Protocol: a run, tensors as JSON or binary",
    }
    named = [{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}, "description": "its name"}]
    found: dict[str, Any] = {}
    for (method, path), summary in about.items():
        responses = {"200": {"description": "as the protocol has it"}, "400": {"description": "what was wrong"}}
        operation: dict[str, Any] = {"summary": summary, "responses": responses}
        if "{model}" in path:
            operation["parameters"] = named
        found[path] = {method: operation}
    return found


def _operation(model: Model) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    form = {"schema": {"type": "object", "properties": {"image": {"type": "string", "format": "binary"}}}}
    error = {"application/json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}}}}
    responses: dict[str, Any] = {
        "200": {"description": "the result", "content": dict.fromkeys(kinds_of(model), binary)},
    }
    responses |= {str(status): {"description": text, "content": error} for status, text in _REFUSALS.items()}
    return {
        "summary": f"{model.title}: one picture in, {'its files' if model.several_files else 'one picture'} out",
        "parameters": [_parameter(option) for option in model.served],
        "requestBody": {"required": True, "content": {"image/*": binary, "multipart/form-data": form}},
        "responses": responses,
    }


def _parameter(option: ServedOption) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "yes-no": {"type": "boolean"},
        "whole": {"type": "integer", "minimum": option.least, "maximum": option.most},
        "choice": {"type": "string", "enum": list(option.choices)},
        "colour": {"type": "string", "examples": ["white", "#0a84ff", "10,132,255"]},
    }
    schema = kinds[option.kind]
    if option.default is not None:
        schema["default"] = option.default
    return {"name": option.name, "in": "query", "description": option.help, "schema": schema}


async def openapi(request: Request) -> Response:
    return json_answer(document(request.app.state.service))


async def page(request: Request) -> Response:
    """The document as a page of plain HTML: it needs no script and nothing from another host."""
    parts = []
    for path, methods in document(request.app.state.service)["paths"].items():
        for method, operation in methods.items():
            parts.append(_section(method, path, operation))
    body = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        "<title>trtkit API</title><style>body{font:16px/1.5 system-ui;max-width:50rem;margin:2rem auto;padding:0 1rem;"
        "color-scheme:light dark}code{background:#8882;padding:.1em .3em}td{padding:.1rem 1rem .1rem 0;"
        "vertical-align:top}</style><h1>trtkit API</h1><p>The same as <a href=/openapi.json>OpenAPI</a>.</p>"
        + "".join(parts)
    )
    return answer(body.encode(), "text/html")


def _section(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{html.escape(p['name'])}</code><td>{html.escape(p['description'])}"
        f"<td>{html.escape(_values(p['schema']))}"
        for p in operation.get("parameters", ())
        if p["in"] == "query"
    )
    answers = "".join(
        f"<tr><td>{status}<td>{html.escape(entry['description'])}" for status, entry in operation["responses"].items()
    )
    return (
        f"<h2><code>{method.upper()} {html.escape(path)}</code></h2><p>{html.escape(operation['summary'])}</p>"
        + (f"<h3>Query</h3><table>{rows}</table>" if rows else "")
        + f"<h3>Answers</h3><table>{answers}</table>"
    )


def _values(schema: dict[str, Any]) -> str:
    said = f"default {schema['default']}" if "default" in schema else ""
    if "minimum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}; {said}"
    return "; ".join(
        part for part in (", ".join(map(str, schema.get("enum", schema.get("examples", ())))), said) if part
    )
