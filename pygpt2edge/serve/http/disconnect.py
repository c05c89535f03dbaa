"""Ends the work for a client that has gone."""

from __future__ import annotations

import asyncio
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
        response = None
        with anyio.CancelScope() as work:  # cheaper than a group of tasks
            watch = asyncio.create_task(_cancel_when_gone(receive, work))
            try:
                response = await self._work()
                await response(scope, receive, send)
            finally:
                watch.cancel()
        if response is None:  # nobody reads it, but the request is counted
            await Response(status_code=499)(scope, receive, send)


async def _cancel_when_gone(receive: Receive, work: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    work.cancel()
