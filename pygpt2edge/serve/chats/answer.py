"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response

from pygpt2edge.generate.results import TokenLogprob
from pygpt2edge.serve.chats.forms import (
    Answer,
    ChatChoice,
    ChatChunk,
    ChatFields,
    ChatLogprobs,
    ChatRequest,
    ChatResponse,
    ChatToken,
    ChunkChoice,
    Delta,
    LikelyToken,
)
from pygpt2edge.serve.completions.checks import check_fields, whole_number
from pygpt2edge.serve.completions.job import CompletionJob
from pygpt2edge.serve.completions.merged import merged
from pygpt2edge.serve.completions.option_fields import sampling_params
from pygpt2edge.serve.completions.prompts import Prompt
from pygpt2edge.serve.completions.response import finish_reason, usage
from pygpt2edge.serve.completions.sse import EventStream
from pygpt2edge.serve.completions.texts import Text, results
from pygpt2edge.serve.completions.token_logprobs import token_name
from pygpt2edge.serve.http.body import read_body
from pygpt2edge.serve.http.disconnect import WhileConnected
from pygpt2edge.serve.http.errors import invalid
from pygpt2edge.serve.http.responses import json_response, new_id, now
from pygpt2edge.serve.service import Service, service_of
from pygpt2edge.serve.template_sandbox import TemplateRefusal
from pygpt2edge.tokenizer import Tokenizer

_NO_TEMPLATE = (
    "this model has no chat template, so it continues texts and does not answer: use "
    "/v1/completions, or convert a model whose tokenizer_config.json has one, or give one by "
    "--chat-template"
)


async def answer_chat(request: Request) -> Response:
    """The answer to a chat, by a model that has a chat template."""
    service = service_of(request)
    fields = await read_body(request, service.settings, ChatRequest)
    check_fields(service, fields)
    job = await _job(service, fields)
    answer = _stream if fields.stream else _whole
    return WhileConnected(lambda: answer(job))


async def _job(service: Service, fields: ChatFields) -> CompletionJob:
    if service.chat_template is None:
        raise invalid(_NO_TEMPLATE, "messages", "no_chat_template")
    if not fields.messages:
        raise invalid("messages is an empty list; give one message or more", "messages")
    if fields.max_completion_tokens is not None:
        if getattr(fields, "max_tokens", None) is not None:
            raise invalid("it is max_tokens by another name: give one", "max_completion_tokens")
        fields.max_tokens = fields.max_completion_tokens  # type: ignore[attr-defined]
    settings = service.settings
    params = sampling_params(fields, settings, service.model.config["n_vocab"])
    n = whole_number(fields, "n", 1, 1, settings.max_texts)
    n_top = whole_number(fields, "top_logprobs", 0, 0, settings.max_logprobs)
    if fields.top_logprobs is not None and not fields.logprobs:
        raise invalid("top_logprobs is for requests with logprobs: true", "top_logprobs")
    if fields.logprobs:
        params = replace(params, logprobs=max(n_top, 1))
    messages = [{"role": each.role, "content": each.text} for each in fields.messages]
    try:
        tokens = await anyio.to_thread.run_sync(service.chat_template.tokens, messages)
    except TemplateRefusal as error:
        raise invalid(str(error), "messages") from None
    params = params.for_prompt("")  # text
    prompt = Prompt("", tokens or [service.model.start_token])
    return CompletionJob(
        service,
        [prompt],
        params,
        n,
        n,
        n_top if fields.logprobs else None,
        echo=False,
        wants_usage=fields.wants_usage,
    )


async def _stream(job: CompletionJob) -> Response:
    texts = await job.submit()
    return EventStream(_chunks(job, texts), texts, job.service.settings)


async def _whole(job: CompletionJob) -> Response:
    completions = await results(await job.submit())
    choices = [
        ChatChoice(
            i,
            Answer("assistant", completion.text),
            _logprobs(job, completion.logprobs),
            finish_reason(completion),
        )
        for i, completion in enumerate(completions)
    ]
    return json_response(
        ChatResponse(
            id=new_id("chatcmpl"),
            created=now(),
            model=job.service.name,
            choices=choices,
            usage=usage(job.n_prompt_tokens, completions),
        )
    )


async def _chunks(job: CompletionJob, texts: Sequence[Text]) -> AsyncGenerator[ChatChunk, None]:
    """The events of a stream."""
    chat_id, created = new_id("chatcmpl"), now()

    def chunk(*choices: ChunkChoice) -> ChatChunk:
        return ChatChunk(id=chat_id, created=created, model=job.service.name, choices=list(choices))

    for i in range(len(texts)):
        yield chunk(ChunkChoice(i, Delta("assistant", "")))
    async with aclosing(merged(texts)) as pieces:
        async for i, piece in pieces:
            if piece is None:
                reason = finish_reason(texts[i].request.completion())
                yield chunk(ChunkChoice(i, Delta(), None, reason))
            elif piece.text or piece.logprob:
                logprobs = _logprobs(job, [piece.logprob] if piece.logprob else [])
                yield chunk(ChunkChoice(i, Delta(content=piece.text), logprobs))
    if job.wants_usage:
        last = chunk()
        last.usage = usage(job.n_prompt_tokens, [text.request.completion() for text in texts])
        yield last


def _logprobs(job: CompletionJob, found: Sequence[TokenLogprob]) -> ChatLogprobs | None:
    if job.n_top is None:
        return None
    tokenizer, n_top = job.service.model.tokenizer, job.n_top
    return ChatLogprobs(
        [
            ChatToken(
                *_named(tokenizer, each.token, each.logprob, each.n_repeated),
                [LikelyToken(*_named(tokenizer, *likely)) for likely in each.top[:n_top]],
            )
            for each in found
        ]
    )


def _named(
    tokenizer: Tokenizer, token: int, logprob: float, first: int = 0
) -> tuple[str, float, list[int]]:
    data = tokenizer.token_bytes(token)[first:] if token < tokenizer.n_vocab else b""
    return token_name(tokenizer, token, first), logprob, list(data)
