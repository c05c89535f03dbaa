"""A request's body: read within its limits, decoded into the model of its route."""

from __future__ import annotations

import re
from typing import TypeVar

import anyio
import msgspec
from starlette.requests import ClientDisconnect, Request

from pygpt2edge.options import hint
from pygpt2edge.serve.http.errors import ApiError, invalid
from pygpt2edge.serve.settings import Settings

Body = TypeVar("Body", bound=msgspec.Struct)


async def read_body(request: Request, settings: Settings, model: type[Body]) -> Body:
    """The body as a `model`. Raises ApiError for one that is too large, too slow, or no such."""
    return decoded(await _read(request, settings), model)


async def _read(request: Request, settings: Settings) -> bytes:
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > settings.max_body:
        raise _too_large(settings)
    data = bytearray()
    try:
        with anyio.fail_after(settings.read_timeout):
            async for chunk in request.stream():
                data += chunk
                if len(data) > settings.max_body:
                    raise _too_large(settings)
    except TimeoutError:
        raise ApiError(
            408, f"the request's body did not arrive within {settings.read_timeout} seconds"
        ) from None
    except ClientDisconnect:
        raise invalid("the request's body is not whole") from None
    return bytes(data)


def _too_large(settings: Settings) -> ApiError:
    return ApiError(413, f"the request's body is larger than {settings.max_body:,} bytes")


def decoded(data: bytes, model: type[Body]) -> Body:
    """JSON as a `model`. Raises ApiError, which names the field."""
    try:
        return msgspec.json.decode(data, type=model)
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error), model) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"the request's body is not JSON: {error}") from None
    except RecursionError:
        raise invalid("the request's body is JSON nested too deep") from None


def _wrong_field(message: str, model: type[msgspec.Struct]) -> ApiError:
    within = re.search(r" - at (?:`key` in )?`\$\.(\w+)", message)
    unknown = re.search(r"unknown field `(.*?)`", message)
    missing = re.search(r"missing required field `(.*?)`", message)
    if within:
        return invalid(message.replace("`$.", "`"), within[1])
    if unknown:
        name = unknown[1]
        return invalid(f"there is no field {name!r}{hint(name, model.__struct_fields__)}", name)
    if missing:
        return invalid(f"the field {missing[1]!r} is missing", missing[1])
    return invalid(message.replace("`$`", "the body"))
