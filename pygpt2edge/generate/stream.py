"""The beginning of a text: a prompt and options in, or a saved text, and a generation out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pygpt2edge import _core
from pygpt2edge.generate.generation import Generation
from pygpt2edge.generate.options import MAX_GUESSES, GenerateOptions, each_stop, speculation
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
    text = _core.Text(
        model.core_model,
        model.tokenizer.tables,
        model.contexts,
        model.tokens_of(prompt, allow_special=allow_special),
        options.for_core(),
        speculation(draft, prompt_lookup, max_guesses),
    )
    return Generation(model, text)


def resume(
    model: LoadedModel,
    path: str | os.PathLike[str],
    max_tokens: int | None,
    *,
    draft: LoadedModel | None,
    prompt_lookup: bool,
    max_guesses: int,
) -> Generation:
    """See `GPT2.resume`."""
    text = _core.Text.resume(
        os.fsencode(path),
        model.core_model,
        model.tokenizer.tables,
        model.contexts,
        max_tokens,
        speculation(draft, prompt_lookup, max_guesses),
    )
    return Generation(model, text)
