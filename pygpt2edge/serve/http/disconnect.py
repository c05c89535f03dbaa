"""Ends the work for a client that has gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from starlette.requests import Request
from starlette.responses import Response


async def while_connected(request: Request, work: Callable[[], Awaitable[Response]]) -> Response:
    """The result of work that is cancelled when the client hangs up. The body has been read."""
    answers: list[Response] = []
    errors: list[Exception] = []
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                continue
            group.cancel_scope.cancel()

        group.start_soon(watch)
        try:
            answers.append(await work())
        except Exception as error:  # raised below, as itself: a group would wrap it
            errors.append(error)
        group.cancel_scope.cancel()
    if errors:
        raise errors[0]
    return answers[0] if answers else Response(status_code=499)  # nobody reads it
