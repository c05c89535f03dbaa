"""Answers as a stream of server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import anyio
import msgspec
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from pygpt2edge.serve.completions.texts import Text
from pygpt2edge.serve.http.errors import ApiError

_END = b"data: [DONE]\n\n"
# A comment, sent while a text waits: proxies close connections on which nothing comes for long.
_PING, _PING_SECONDS = b": waiting\n\n", 15


class EventStream(Response):
    """An event for each message. An ApiError becomes the last event.

    The texts end with it, in any case. A reader that takes nothing for `send_timeout` seconds is
    cut off.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        messages: AsyncGenerator[msgspec.Struct, None],
        texts: Sequence[Text],
        send_timeout: float,
    ) -> None:
        self.status_code = 200
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})
        self._messages, self._texts, self._send_timeout = messages, texts, send_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pings = asyncio.create_task(_ping(send))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send_events(send)
        finally:
            pings.cancel()
            for text in self._texts:
                text.end()

    async def _send_events(self, send: Send) -> None:
        async with aclosing(_events(self._messages)) as events:
            async for event in events:
                with anyio.move_on_after(self._send_timeout) as scope:
                    await send(_part(event))
                if scope.cancelled_caught:  # the server closes what is not sent whole
                    return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _ping(send: Send) -> None:
    while True:
        await asyncio.sleep(_PING_SECONDS)
        await send(_part(_PING))


def _part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _events(messages: AsyncGenerator[msgspec.Struct, None]) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(messages):
            async for message in messages:
                yield _event(message)
    except ApiError as error:
        yield _event(error.body)
    yield _END


def _event(message: msgspec.Struct) -> bytes:
    return b"data: " + msgspec.json.encode(message) + b"\n\n"
