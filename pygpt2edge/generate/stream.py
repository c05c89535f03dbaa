"""Starts the generation of a text, from a prompt and options or from a saved text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pygpt2edge import _core
from pygpt2edge.generate.generation import Generation
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.options import LANGUAGES, SamplingParams

if TYPE_CHECKING:
    from pygpt2edge.constrain.constraint import Constraint


def stream(model: LoadedModel, prompt: str | Sequence[int], params: SamplingParams) -> Generation:
    """See `GPT2.stream`."""
    tokens = params.tokens_of(model, prompt)
    constraint = None
    if params.language is not None:
        from pygpt2edge.constrain.constraint import constraint_for  # so late: few texts need it

        constraint = constraint_for(
            model.tokenizer, params, tokens if _is_healed(model, prompt, tokens, params) else ()
        )
    if constraint is not None:
        tokens = tokens[: len(tokens) - len(constraint.repeated)]
    text = _core.Text(
        model.core_model,
        model.tokenizer.tables,
        model.contexts,
        tokens,
        text_options(params),
        _speculation(params),
        constraint,
    )
    return Generation(model, text, params)


def _is_healed(
    model: LoadedModel, prompt: str | Sequence[int], tokens: Sequence[int], params: SamplingParams
) -> bool:
    """Whether a text may write the prompt's last tokens again."""
    wanted = params.for_prompt(prompt).token_healing is True
    fits = len(tokens) <= model.n_ctx or params.context_overflow == "slide"
    is_open = params.max_tokens != 0 and params.forced_first_token is None
    return wanted and fits and is_open


def resume(
    model: LoadedModel,
    path: str | os.PathLike[str],
    max_tokens: int | None,
    drafts: SamplingParams,
) -> Generation:
    """See `GPT2.resume`; of `drafts`, only the options of speculative decoding are used."""
    params: SamplingParams | None = None

    def constraint(saved: bytes, prompt: list[int], tokens: list[int]) -> Constraint:
        from pygpt2edge.constrain.saving import resumed_constraint  # so late: few texts need it

        nonlocal params
        resumed = resumed_constraint(model.tokenizer, saved, prompt, tokens)
        language: dict[str, Any] = {resumed.language.option: resumed.language.source}
        params = SamplingParams(**language)
        return resumed

    text = _core.Text.resume(
        os.fsencode(path),
        model.core_model,
        model.tokenizer.tables,
        model.contexts,
        max_tokens,
        _speculation(drafts),
        constraint,
    )
    return Generation(model, text, params)


_NOT_OF_THE_CORE = (
    "allow_special", "add_special_tokens", "draft_model", "prompt_lookup", "max_draft_tokens",
    "token_healing", *LANGUAGES,
)  # fmt: skip


def text_options(params: SamplingParams) -> _core.TextOptions:
    """The core's options for a text."""
    kept = {each.name: getattr(params, each.name) for each in fields(params)}
    for name in _NOT_OF_THE_CORE:
        del kept[name]
    seed = int.from_bytes(os.urandom(8), "little") if params.seed is None else params.seed
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
