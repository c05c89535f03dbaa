"""POST /v1/completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response

from pygpt2edge.generate.results import Completion, Piece
from pygpt2edge.serve.completions.beams import beam_response
from pygpt2edge.serve.completions.checks import check_fields
from pygpt2edge.serve.completions.job import CompletionJob, completion_job
from pygpt2edge.serve.completions.merged import merged
from pygpt2edge.serve.completions.request import CompletionRequest
from pygpt2edge.serve.completions.response import (
    Choice,
    CompletionResponse,
    Logprobs,
    finish_reason,
    usage,
)
from pygpt2edge.serve.completions.sse import EventStream
from pygpt2edge.serve.completions.texts import Text, results
from pygpt2edge.serve.completions.token_logprobs import (
    LogprobsWriter,
    Scored,
    scored_end,
    scored_token,
)
from pygpt2edge.serve.http.body import read_body
from pygpt2edge.serve.http.disconnect import WhileConnected
from pygpt2edge.serve.http.responses import json_response, new_id, now
from pygpt2edge.serve.service import service_of


async def answer_completions(request: Request) -> Response:
    """Texts that continue prompts."""
    service = service_of(request)
    fields = await read_body(request, service.settings, CompletionRequest)
    check_fields(service, fields)
    if fields.num_beams is not None:
        return WhileConnected(lambda: beam_response(service, fields))
    job = await completion_job(service, fields)
    answer = _stream if fields.stream else _whole
    return WhileConnected(lambda: answer(job))


async def _stream(job: CompletionJob) -> Response:
    scored = await job.scored_prompts()
    texts = await job.submit()
    return EventStream(_chunks(job, texts, scored), texts, job.service.settings)


async def _whole(job: CompletionJob) -> Response:
    scored = await job.scored_prompts()
    completions = await results(await job.submit())
    choices: list[Choice] = []
    for i, of_prompt in enumerate(scored):
        for completion in job.chosen(completions[i * job.best_of : (i + 1) * job.best_of]):
            choices.append(_choice(job, len(choices), i, of_prompt, completion))
    return json_response(
        CompletionResponse(
            id=new_id("cmpl"),
            created=now(),
            model=job.service.name,
            choices=choices,
            usage=usage(job.n_prompt_tokens, completions),
        )
    )


def _choice(
    job: CompletionJob,
    index: int,
    prompt: int,
    of_prompt: Sequence[Scored],
    completion: Completion,
) -> Choice:
    logprobs = None
    if job.n_top is not None:
        generated = [*map(scored_token, completion.logprobs), *scored_end(completion)]
        logprobs = _writer(job).write([*of_prompt, *generated])
    echoed = job.prompts[prompt].text if job.echo else ""
    return Choice(index, echoed + completion.text, logprobs, finish_reason(completion))


def _writer(job: CompletionJob) -> LogprobsWriter:
    return LogprobsWriter(job.service.model.tokenizer, job.n_top or 0)


async def _chunks(
    job: CompletionJob, texts: Sequence[Text], scored: Sequence[list[Scored]]
) -> AsyncGenerator[CompletionResponse, None]:
    """The events of a stream."""
    head = CompletionResponse(id=new_id("cmpl"), created=now(), model=job.service.name, choices=[])
    writers = [_writer(job) for _ in texts]

    def chunk(choice: Choice) -> CompletionResponse:
        return CompletionResponse(
            id=head.id, created=head.created, model=head.model, choices=[choice]
        )

    if job.echo:
        for i, text in enumerate(texts):
            logprobs = _written(job, writers[i], scored[text.prompt])
            yield chunk(Choice(i, job.prompts[text.prompt].text, logprobs))
    async with aclosing(merged(texts)) as pieces:
        async for i, piece in pieces:
            if piece is not None:
                if piece.text or job.n_top is not None:
                    yield chunk(Choice(i, piece.text, _of_piece(job, writers[i], piece)))
                continue
            completion = texts[i].request.completion()
            logprobs = _written(job, writers[i], scored_end(completion))
            yield chunk(Choice(i, "", logprobs, finish_reason(completion)))
    if job.wants_usage:
        head.usage = usage(job.n_prompt_tokens, [text.request.completion() for text in texts])
        yield head


def _of_piece(job: CompletionJob, writer: LogprobsWriter, piece: Piece) -> Logprobs | None:
    scored = [] if piece.logprob is None else [scored_token(piece.logprob)]
    return _written(job, writer, scored)


def _written(
    job: CompletionJob, writer: LogprobsWriter, scored: Sequence[Scored]
) -> Logprobs | None:
    return writer.write(scored) if job.n_top is not None and scored else None
