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
    """Each prompt of a request's field. Raises ApiError."""
    prompts = _each(prompt)
    if len(prompts) > service.settings.max_texts:
        raise invalid(
            f"prompt has {len(prompts):,} prompts; give {service.settings.max_texts} at most",
            "prompt",
        )
    size = sum(map(len, prompts))
    return await beside(size, lambda: [_prompt(service, each, params) for each in prompts])


def _each(prompt: completion_request.Prompt) -> Sequence[str | list[int]]:
    if isinstance(prompt, str):
        return [prompt]
    if not prompt:
        raise invalid("prompt is an empty list; give one prompt or more", "prompt")
    ids = [part for part in prompt if isinstance(part, int)]
    if len(ids) == len(prompt):
        return [ids]
    if ids:
        raise invalid("prompt has token ids and prompts side by side", "prompt")
    return [part for part in prompt if not isinstance(part, int)]


def _prompt(service: Service, prompt: str | list[int], params: SamplingParams) -> Prompt:
    try:
        tokens = params.tokens_of(service.model, prompt)
        text = prompt if isinstance(prompt, str) else service.model.tokenizer.decode(prompt)
    except (ValueError, TypeError) as error:
        raise invalid(str(error), "prompt") from None
    return Prompt(text, tokens)
