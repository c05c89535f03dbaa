"""The texts of a beam search."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from starlette.responses import Response

from pygpt2edge.errors import ContextLengthError
from pygpt2edge.generate.beam_search import BeamOptions, BeamSearch
from pygpt2edge.generate.results import Completion
from pygpt2edge.serve.completions.checks import whole_number
from pygpt2edge.serve.completions.constraints import NAMES
from pygpt2edge.serve.completions.option_fields import OPTION_NAMES, sampling_params
from pygpt2edge.serve.completions.prompts import Prompt, read_prompts
from pygpt2edge.serve.completions.request import CompletionFields
from pygpt2edge.serve.completions.response import (
    Choice,
    CompletionResponse,
    finish_reason,
    usage,
)
from pygpt2edge.serve.http.errors import ApiError, invalid
from pygpt2edge.serve.http.responses import json_response, new_id, now
from pygpt2edge.serve.service import Service

# A search has these of a text's options, and draws nothing.
_OPTIONS = {
    "max_tokens",
    "stop",
    "ignore_eos",
    "allow_special",
    "add_special_tokens",
    "temperature",
    "seed",
}


async def beam_response(service: Service, fields: CompletionFields) -> Response:
    """The n best texts of each prompt. Raises ApiError."""
    _check(fields)
    settings = service.settings
    params = sampling_params(fields, settings, service.model.config["n_vocab"])
    num_beams = whole_number(fields, "num_beams", 1, 1, settings.max_beams)
    given: dict[str, Any] = {
        name: getattr(fields, name)
        for name in ("length_penalty", "early_stopping")
        if getattr(fields, name) is not None
    }
    try:
        options = BeamOptions(
            num_beams=num_beams,
            n=whole_number(fields, "n", 1, 1, num_beams),
            max_tokens=params.max_tokens,
            stop=params.stop,
            ignore_eos=params.ignore_eos,
            **given,
        )
    except ValueError as error:
        raise invalid(str(error), str(error).split(" ", 1)[0]) from None
    prompts = await read_prompts(service, fields.prompt, params)
    found = [(prompt, await _search(service, prompt, options)) for prompt in prompts]
    echoed = [prompt.text if fields.echo else "" for prompt in prompts]
    texts = [
        (before + text.text, text)
        for before, (_, of_prompt) in zip(echoed, found, strict=True)
        for text in of_prompt
    ]
    return json_response(
        CompletionResponse(
            id=new_id("cmpl"),
            created=now(),
            model=service.name,
            choices=[
                Choice(i, whole, None, finish_reason(text)) for i, (whole, text) in enumerate(texts)
            ],
            usage=usage(sum(len(prompt.tokens) for prompt in prompts), (text for _, text in texts)),
        )
    )


def _check(fields: CompletionFields) -> None:
    others = ("stream", "logprobs", "best_of", "suffix", *NAMES)
    for name in (*others, *OPTION_NAMES):
        if name not in _OPTIONS and getattr(fields, name) not in (None, False):
            raise invalid(f"{name} does not go with num_beams", name)


async def _search(service: Service, prompt: Prompt, options: BeamOptions) -> list[Completion]:
    search = BeamSearch(service.model, prompt.tokens, options)
    try:
        return await anyio.to_thread.run_sync(
            search.run, limiter=service.one_search, abandon_on_cancel=True
        )
    except ContextLengthError as error:
        raise invalid(str(error), "prompt", "context_length_exceeded") from None
    except MemoryError as error:
        raise ApiError(503, f"not enough memory: {error}") from None
    except ValueError as error:
        raise invalid(str(error), "prompt") from None
    finally:
        search.cancel()
