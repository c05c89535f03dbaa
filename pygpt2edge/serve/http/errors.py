"""Errors as clients of OpenAI's API know them: a status, and a body that says which field."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response


class ErrorDetail(msgspec.Struct):
    """What went wrong. `param` is the field of the request, where it is one's."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(msgspec.Struct):
    """The body of every answer that is an error."""

    error: ErrorDetail


_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers
        kind = "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
        self.body = ErrorBody(ErrorDetail(message, kind, param, code))

    def response(self) -> Response:
        return Response(
            msgspec.json.encode(self.body),
            self.status,
            headers=self.headers,
            media_type="application/json",
        )


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """What the client asked for cannot be done as it stands."""
    return ApiError(400, message, param, code)


async def answer_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()
