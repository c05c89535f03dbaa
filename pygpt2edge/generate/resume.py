"""Going on with a saved text."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pygpt2edge import _core
from pygpt2edge.errors import FormatError, UnsupportedError
from pygpt2edge.generate import saved
from pygpt2edge.generate.generation import Generation
from pygpt2edge.generate.options import GenerateOptions
from pygpt2edge.generate.results import TokenLogprob
from pygpt2edge.generate.saved import SavedText
from pygpt2edge.generate.speculation import speculation
from pygpt2edge.generate.window import window_for
from pygpt2edge.loaded_model import LoadedModel


def resume(
    model: LoadedModel,
    path: Path,
    max_tokens: int | None,
    *,
    draft: LoadedModel | None,
    prompt_lookup: bool,
    max_guesses: int,
) -> Generation:
    """See `GPT2.resume`."""
    generation = _read(model, path, max_tokens)
    generation.speculation = speculation(
        model,
        generation.options,
        draft=draft,
        prompt_lookup=prompt_lookup,
        max_guesses=max_guesses,
    )
    return generation


def _read(model: LoadedModel, path: Path, max_tokens: int | None) -> Generation:
    text = saved.read(path, model.fingerprint)
    for name, ours in (("kv_type", model.kv_type), ("n_ctx", model.n_ctx)):
        if text.field(name, type(ours)) != ours:
            raise UnsupportedError(
                f"{path}: was saved with {name} {text.header[name]!r}; load the model with that, "
                f"not {ours!r}"
            )
    try:
        return _resumed(model, text, max_tokens)
    except FormatError:
        raise
    except (LookupError, TypeError, ValueError) as error:
        raise FormatError(f"{path}: its header makes no sense: {error}") from error


def _resumed(model: LoadedModel, text: SavedText, max_tokens: int | None) -> Generation:
    prompt, tokens = text.numbers("prompt"), text.numbers("tokens")
    options = _options(text, len(tokens), max_tokens)
    window = window_for(model, options)
    computed = (prompt + tokens)[:-1] if tokens else []
    if computed:
        window.restore(computed, _sessions(model, text))
    generation = Generation(model, window, prompt, options)
    generation.replay(tokens, [_logprob(fields) for fields in text.field("logprobs", list)])
    return generation


def _logprob(fields: dict[str, Any]) -> TokenLogprob:
    top = [(token, value) for token, value in fields["top"]]
    return TokenLogprob(fields["token"], fields["text"], fields["logprob"], top)


def _options(text: SavedText, n_tokens: int, max_tokens: int | None) -> GenerateOptions:
    fields = dict(text.field("options", dict))
    fields["logit_bias"] = {int(token): float(bias) for token, bias in fields["logit_bias"]}
    fields["stop"] = tuple(fields["stop"])
    options = GenerateOptions(**fields)
    seed = text.field("seed", int)
    if max_tokens is not None:
        return dataclasses.replace(options, seed=seed, max_tokens=n_tokens + max_tokens)
    return dataclasses.replace(options, seed=seed)


def _sessions(model: LoadedModel, text: SavedText) -> list[_core.Session]:
    contexts = text.field("contexts", list)
    if len(contexts) != len(text.contexts):
        raise FormatError(f"{text.path}: contexts and sizes are not as many")
    sessions = []
    for tokens, pages in zip(contexts, text.contexts, strict=True):
        session = model.session()
        session.restore(tokens, pages, text.field("code_bias", int))
        sessions.append(session)
    return sessions
