"""Answers made of the models that the OpenAPI document describes."""

from __future__ import annotations

import secrets
import time

import msgspec
from starlette.responses import Response


def json_response(body: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")


def new_id(prefix: str) -> str:
    """An id that no other answer has."""
    return f"{prefix}-{secrets.token_hex(12)}"


def now() -> int:
    return int(time.time())
