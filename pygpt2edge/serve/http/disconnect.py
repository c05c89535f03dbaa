"""Ends the work for a client that has gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class WhileConnected(Response):
    """The response that `work` makes. Making it and sending it end when the client hangs up.

    The request's body must have been read.
    """

    def __init__(self, work: Callable[[], Awaitable[Response]]) -> None:
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        responses: list[Response] = []
        errors: list[Exception] = []
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                while (await receive())["type"] != "http.disconnect":
                    continue
                group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                responses.append(await self._work())
                await responses[0](scope, receive, send)
            except Exception as error:  # raised below, as itself: a group would wrap it
                errors.append(error)
            group.cancel_scope.cancel()
        if errors:
            raise errors[0]
        if not responses:  # nobody reads it, but the request is counted
            await Response(status_code=499)(scope, receive, send)
