"""Answers as a stream of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec
from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

from pygpt2edge.serve.completions.texts import Text
from pygpt2edge.serve.http.errors import ApiError
from pygpt2edge.serve.settings import Settings

_END = b"data: [DONE]\n\n"


class EventStream(EventSourceResponse):
    """An event for each message. An ApiError becomes the last event. The texts end with it, in any
    case."""

    def __init__(
        self,
        messages: AsyncGenerator[msgspec.Struct, None],
        texts: Sequence[Text],
        settings: Settings,
    ) -> None:
        super().__init__(
            _events(messages),
            sep="\n",
            send_timeout=settings.send_timeout,
            shutdown_grace_period=settings.grace,
        )
        self._texts = texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            for text in self._texts:
                text.end()


async def _events(messages: AsyncGenerator[msgspec.Struct, None]) -> AsyncGenerator[bytes, None]:
    try:
        async with aclosing(messages):
            async for message in messages:
                yield _event(message)
    except ApiError as error:
        yield _event(error.body)
    yield _END


def _event(message: msgspec.Struct) -> bytes:
    # JSON of one line. The library's own writer, which splits lines, takes a third of the time that
    # an event costs.
    return b"data: " + msgspec.json.encode(message) + b"\n\n"
