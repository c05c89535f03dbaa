"""What all routes share: the model, its engine, the settings, the metrics."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread
from starlette.requests import Request

from pygpt2edge.engine import Engine
from pygpt2edge.engine.prefix_cache import PrefixCache
from pygpt2edge.errors import ContextLengthError
from pygpt2edge.model import GPT2
from pygpt2edge.serve.chat_template import ChatTemplate, chat_template_of
from pygpt2edge.serve.http.errors import ApiError, invalid
from pygpt2edge.serve.metrics import Metrics
from pygpt2edge.serve.settings import Settings

Result = TypeVar("Result")


class Service:
    """One server's state."""

    def __init__(self, model: GPT2, settings: Settings) -> None:
        self.model, self.settings = model, settings
        self.chat_template = _chat_template(model, settings)
        self.engine = Engine(model, max_batch=settings.max_batch, max_queue=settings.max_queue)
        self.name = settings.model_name or model.path.stem
        self.started = int(time.time())
        self.metrics = Metrics(self.engine, model)
        # What looks at the model takes turns anyway; the others' steps come between its passes.
        self.one_look = anyio.CapacityLimiter(1)
        self.one_search = anyio.CapacityLimiter(1)
        self.looked_at = PrefixCache(max_sessions=2)  # used under one_look

    def close(self) -> None:
        self.engine.close()

    def check_name(self, name: str | None) -> None:
        """Raises ApiError where a client asks for another model."""
        if name not in (None, "", self.name):
            raise ApiError(
                404,
                f"there is no model {name:.80}; this server has {self.name}",
                "model",
                "model_not_found",
            )

    async def look(self, what: Callable[..., Result], *args: object) -> Result:
        """Calls what looks at the model, in a thread, one at a time. Raises ApiError for what the
        caller got wrong."""
        try:
            return await anyio.to_thread.run_sync(
                functools.partial(what, *args), limiter=self.one_look
            )
        except ContextLengthError as error:
            raise invalid(str(error), code="context_length_exceeded") from None
        except (ValueError, TypeError, IndexError, MemoryError) as error:
            raise invalid(str(error)) from None


def _chat_template(model: GPT2, settings: Settings) -> ChatTemplate | None:
    if settings.chat_template is not None:
        return ChatTemplate(settings.chat_template, model.tokenizer, settings)
    return chat_template_of(model, settings)


def service_of(request: Request) -> Service:
    """The service whose app answers a request."""
    service: Service = request.app.state.service
    return service
