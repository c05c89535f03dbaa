"""The application: all routes, and what every request passes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pygpt2edge.model import GPT2
from pygpt2edge.serve.chats.answer import answer_chat
from pygpt2edge.serve.chats.forms import ChatRequest, ChatResponse
from pygpt2edge.serve.completions.answer import answer_completions
from pygpt2edge.serve.completions.request import CompletionRequest
from pygpt2edge.serve.completions.response import CompletionResponse
from pygpt2edge.serve.http.access import Access
from pygpt2edge.serve.http.errors import ApiError, answer_api_error
from pygpt2edge.serve.http.openapi import Described, answer_openapi, document
from pygpt2edge.serve.page.answer import answer_page
from pygpt2edge.serve.request_counts import Counted
from pygpt2edge.serve.service import Service
from pygpt2edge.serve.settings import Settings
from pygpt2edge.serve.views.distributions import (
    Attention,
    AttentionRequest,
    NextTokens,
    NextTokensRequest,
    Suggestions,
    SuggestionsRequest,
    answer_attention,
    answer_next_tokens,
    answer_suggestions,
)
from pygpt2edge.serve.views.embeddings import (
    EmbeddingList,
    EmbeddingRequest,
    answer_embeddings,
)
from pygpt2edge.serve.views.status import (
    Health,
    ModelCard,
    ModelList,
    answer_health,
    answer_metrics,
    answer_model,
    answer_models,
)
from pygpt2edge.serve.views.tokens import (
    DetokenizeRequest,
    TokenizeRequest,
    Tokens,
    TokensText,
    answer_detokenize,
    answer_tokenize,
)


@dataclass(frozen=True)
class Endpoint:
    """A route: who answers it, what it takes and what it gives."""

    method: str
    path: str
    answer: Callable[[Request], Awaitable[Response]]
    takes: type[msgspec.Struct] | None = None
    gives: type[msgspec.Struct] | None = None
    streams: bool = False


ENDPOINTS = (
    Endpoint("GET", "/", answer_page),
    Endpoint(
        "POST", "/v1/completions", answer_completions, CompletionRequest, CompletionResponse, True
    ),
    Endpoint("POST", "/v1/chat/completions", answer_chat, ChatRequest, ChatResponse, True),
    Endpoint("POST", "/v1/embeddings", answer_embeddings, EmbeddingRequest, EmbeddingList),
    Endpoint("GET", "/v1/models", answer_models, None, ModelList),
    Endpoint("GET", "/v1/models/{model}", answer_model, None, ModelCard),
    Endpoint("POST", "/v1/suggestions", answer_suggestions, SuggestionsRequest, Suggestions),
    Endpoint("POST", "/v1/next_tokens", answer_next_tokens, NextTokensRequest, NextTokens),
    Endpoint("POST", "/v1/attention", answer_attention, AttentionRequest, Attention),
    Endpoint("POST", "/tokenize", answer_tokenize, TokenizeRequest, Tokens),
    Endpoint("POST", "/detokenize", answer_detokenize, DetokenizeRequest, TokensText),
    Endpoint("GET", "/health", answer_health, None, Health),
    Endpoint("GET", "/metrics", answer_metrics),
    Endpoint("GET", "/openapi.json", answer_openapi),
)  # fmt: skip


def create_app(model: GPT2, settings: Settings) -> Starlette:
    """The ASGI application of a model. Its engine runs until shutdown. Raises FormatError for a
    chat template that is none."""
    service = Service(model, settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            service.close()

    app = Starlette(
        routes=[Route(each.path, each.answer, methods=[each.method]) for each in ENDPOINTS],
        middleware=_middleware(settings),
        exception_handlers={
            ApiError: answer_api_error,
            HTTPException: _answer_http,
            Exception: _answer_failure,
        },
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.openapi = msgspec.json.encode(document([_described(each) for each in ENDPOINTS]))
    return app


def _middleware(settings: Settings) -> list[Middleware]:
    cors = Middleware(
        CORSMiddleware,
        allow_origins=list(settings.origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
    )
    others = [Middleware(Counted), Middleware(Access, settings)]
    return [cors, *others] if settings.origins else others


def _described(each: Endpoint) -> Described:
    summary = " ".join((each.answer.__doc__ or "").split())
    return Described(each.method, each.path, summary, each.takes, each.gives, each.streams)


async def _answer_http(request: Request, error: Exception) -> Response:
    """A path that is not there, or another method than its own."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path:.80}: {error.detail}; see /openapi.json"
    return ApiError(error.status_code, message, headers=error.headers).response()


async def _answer_failure(request: Request, error: Exception) -> Response:
    """A defect: the log has it, the client learns nothing of this machine."""
    return ApiError(500, "the server failed; its log says why").response()
