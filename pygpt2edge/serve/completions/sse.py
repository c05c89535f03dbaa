"""Answers as a stream of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

import msgspec
from sse_starlette import EventSourceResponse
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from pygpt2edge.serve.completions.texts import Text
from pygpt2edge.serve.http.errors import ApiError
from pygpt2edge.serve.settings import Settings


class _TextStream(EventSourceResponse):
    def __init__(
        self, events: AsyncIterator[bytes], texts: Sequence[Text], settings: Settings
    ) -> None:
        super().__init__(
            events,
            sep="\n",
            send_timeout=settings.send_timeout,
            client_close_handler_callable=self._end,
            shutdown_grace_period=settings.grace,
        )
        self._texts = texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._end()

    async def _end(self, _: Message | None = None) -> None:
        for text in self._texts:
            text.end()


_END = b"data: [DONE]\n\n"


def event_stream(
    messages: AsyncGenerator[msgspec.Struct, None], texts: Sequence[Text], settings: Settings
) -> Response:
    """A response of one event for each message. An ApiError becomes the last event. The texts end
    with it, also where the client hangs up."""
    return _TextStream(_events(messages), texts, settings)


async def _events(messages: AsyncGenerator[msgspec.Struct, None]) -> AsyncIterator[bytes]:
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
