"""Starts the generation of a text, from a prompt and options or from a saved text."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import fields

from pygpt2edge import _core
from pygpt2edge.constrain.constraint import constraint_for
from pygpt2edge.generate.generation import Generation
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.options import LANGUAGES, SamplingParams


def stream(model: LoadedModel, prompt: str | Sequence[int], params: SamplingParams) -> Generation:
    """See `GPT2.stream`."""
    tokens = model.tokens_of(prompt, allow_special=params.allow_special)
    text = _core.Text(
        model.core_model,
        model.tokenizer.tables,
        model.contexts,
        tokens,
        text_options(params),
        _speculation(params),
        constraint_for(model.tokenizer, params),
    )
    return Generation(model, text, params.language)


def resume(
    model: LoadedModel,
    path: str | os.PathLike[str],
    max_tokens: int | None,
    drafts: SamplingParams,
) -> Generation:
    """See `GPT2.resume`; of `drafts`, only the options of speculative decoding are used."""
    text = _core.Text.resume(
        os.fsencode(path),
        model.core_model,
        model.tokenizer.tables,
        model.contexts,
        max_tokens,
        _speculation(drafts),
    )
    return Generation(model, text)


def text_options(params: SamplingParams) -> _core.TextOptions:
    """The core's options for a text."""
    kept = {each.name: getattr(params, each.name) for each in fields(params)}
    for name in ("allow_special", "draft_model", "prompt_lookup", "max_draft_tokens", *LANGUAGES):
        del kept[name]
    seed = secrets.randbits(64) if params.seed is None else params.seed
    return _core.TextOptions(**kept | {"seed": seed})


def _speculation(params: SamplingParams) -> _core.SpeculationOptions:
    draft, n = params.draft_model, params.max_draft_tokens
    if draft is None:
        return _core.SpeculationOptions(prompt_lookup=params.prompt_lookup, max_draft=n)
    return _core.SpeculationOptions(
        prompt_lookup=params.prompt_lookup,
        draft=draft.core_model,
        draft_tables=draft.tokenizer.tables,
        draft_contexts=draft.contexts,
        max_draft=n,
    )
