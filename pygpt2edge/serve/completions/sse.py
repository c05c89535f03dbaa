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
        self._n_sent, self._is_sending = 0, False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with anyio.CancelScope() as sending:
                watch = asyncio.create_task(self._watch(send, sending))
                try:
                    await send(
                        {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                    )
                    await self._send_events(send)
                finally:
                    watch.cancel()
        finally:
            for text in self._texts:
                text.end()

    async def _send_events(self, send: Send) -> None:
        async with aclosing(_events(self._messages)) as events:
            async for event in events:
                self._is_sending = True
                await send(_part(event))
                self._is_sending = False
                self._n_sent += 1
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _watch(self, send: Send, sending: anyio.CancelScope) -> None:
        """Sends comments meanwhile, and cuts off who takes nothing. One task for all events: a
        deadline for each would take as long as writing it."""
        interval = min(self._send_timeout, _PING_SECONDS)
        before, seconds = None, 0.0  # in which nothing has changed
        while True:
            now = (self._n_sent, self._is_sending)
            before, seconds = now, seconds + interval if now == before else 0.0
            if self._is_sending and seconds >= self._send_timeout:
                sending.cancel()  # the server closes what is not sent whole
            elif not self._is_sending and seconds >= _PING_SECONDS:
                await send(_part(_PING))
                before = None
            await asyncio.sleep(interval)


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
