"""The OpenAPI document, from the models that check requests and make answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from pygpt2edge import __version__
from pygpt2edge.serve.http.errors import ErrorBody


@dataclass(frozen=True)
class Described:
    """A route as the document has it."""

    method: str
    path: str
    summary: str
    takes: type[msgspec.Struct] | None
    gives: type[msgspec.Struct] | None
    streams: bool


def document(routes: Sequence[Described]) -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    models = [model for route in routes for model in (route.takes, route.gives) if model]
    _, components = msgspec.json.schema_components(
        [*models, ErrorBody], ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "pygpt2edge", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"key": []}],
    }


def _operation(route: Described) -> dict[str, Any]:
    content = _content(route.gives) if route.gives else {"text/plain": {}}
    if route.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    operation: dict[str, Any] = {
        "summary": route.summary,
        "responses": {
            "200": {"description": "The answer.", "content": content},
            "default": {"description": "An error.", "content": _content(ErrorBody)},
        },
    }
    if route.takes:
        operation["requestBody"] = {"required": True, "content": _content(route.takes)}
    if "{" in route.path:
        name = route.path.split("{")[1].split("}")[0]
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    return operation


def _content(model: type[msgspec.Struct]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


async def answer_openapi(request: Request) -> Response:
    """This document."""
    return Response(request.app.state.openapi, media_type="application/json")
