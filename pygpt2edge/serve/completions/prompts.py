"""The prompts of a request, as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pygpt2edge.options import SamplingParams
from pygpt2edge.serve.completions import request as completion_request
from pygpt2edge.serve.http.errors import invalid
from pygpt2edge.serve.http.threads import beside
from pygpt2edge.serve.service import Service


@dataclass(frozen=True)
class Prompt:
    """One prompt. An empty one has a token to start from, which is no part of its text."""

    text: str
    tokens: list[int]


async def read_prompts(
    service: Service, prompt: completion_request.Prompt, params: SamplingParams
) -> list[Prompt]:
    """Each prompt of a request. Raises ApiError."""
    return await read_texts(service, "prompt", prompt, service.settings.max_texts, params)


async def read_texts(
    service: Service,
    field: str,
    texts: completion_request.Prompt,
    most: int,
    params: SamplingParams,
) -> list[Prompt]:
    """The same of another field, and of at most so many."""
    several = _each(field, texts)
    if len(several) > most:
        raise invalid(f"{field} has {len(several):,} {field}s; give {most} at most", field)
    size = sum(map(len, several))
    return await beside(size, lambda: [_prompt(service, field, each, params) for each in several])


def _each(field: str, texts: completion_request.Prompt) -> Sequence[str | list[int]]:
    if isinstance(texts, str):
        return [texts]
    if not texts:
        raise invalid(f"{field} is an empty list; give one {field} or more", field)
    ids = [part for part in texts if isinstance(part, int)]
    if len(ids) == len(texts):
        return [ids]
    if ids:
        raise invalid(f"{field} has token ids and {field}s side by side", field)
    return [part for part in texts if not isinstance(part, int)]


def _prompt(service: Service, field: str, text: str | list[int], params: SamplingParams) -> Prompt:
    try:
        tokens = params.tokens_of(service.model, text)
        written = text if isinstance(text, str) else service.model.tokenizer.decode(text)
    except (ValueError, TypeError) as error:
        raise invalid(str(error), field) from None
    return Prompt(written, tokens)
