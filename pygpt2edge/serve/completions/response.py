"""What POST /v1/completions answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from pygpt2edge.generate.results import Completion

FinishReason = Literal["stop", "length"]


class Logprobs(msgspec.Struct):
    """Of each token: its text, its log-probability (null for the prompt's first), the most likely
    tokens there and itself, where it begins in the choice's text, in characters, and its id. A
    token that is no whole character is written as "bytes:" and its bytes."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]
    token_ids: list[int]


class Choice(msgspec.Struct):
    """A text, or the next piece of it."""

    index: int
    text: str
    logprobs: Logprobs | None = None
    finish_reason: FinishReason | None = None


class Usage(msgspec.Struct):
    """How many tokens the request was."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class CompletionResponse(msgspec.Struct, kw_only=True):
    """The texts, or in a stream the next piece of one."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None = None


def usage(n_prompt: int, completions: Iterable[Completion]) -> Usage:
    """Of prompts of so many tokens, and of all texts that were generated."""
    n_generated = sum(len(completion.tokens) for completion in completions)
    return Usage(n_prompt, n_generated, n_prompt + n_generated)


def finish_reason(completion: Completion) -> FinishReason:
    """Why a text ended, in OpenAI's words."""
    return "stop" if completion.finish_reason == "stop" else "length"
