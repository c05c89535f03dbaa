"""The beginning of a text: a prompt and options in, a generation out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pygpt2edge.generate.generation import Generation
from pygpt2edge.generate.options import GenerateOptions, each_stop
from pygpt2edge.generate.results import Completion
from pygpt2edge.generate.speculation import MAX_GUESSES, speculation
from pygpt2edge.generate.window import window_for
from pygpt2edge.loaded_model import LoadedModel


def stream(
    model: LoadedModel,
    prompt: str | Sequence[int],
    *,
    logit_bias: Mapping[int, float] | None = None,
    stop: str | Sequence[str] = (),
    allow_special: bool = False,
    draft: LoadedModel | None = None,
    prompt_lookup: bool = False,
    max_guesses: int = MAX_GUESSES,
    **others: Any,
) -> Generation:
    """See `GPT2.stream`; `others` are fields of GenerateOptions."""
    options = GenerateOptions(logit_bias=logit_bias or {}, stop=each_stop(stop), **others)
    tokens = model.tokens_of(prompt, allow_special=allow_special)
    generation = Generation(model, window_for(model, options), tokens, options)
    generation.speculation = speculation(
        model, options, draft=draft, prompt_lookup=prompt_lookup, max_guesses=max_guesses
    )
    return generation


def finished(generation: Generation) -> Completion:
    """Writes the text to its end."""
    for _ in generation:
        pass
    return generation.completion()
