"""A constraint as bytes in the file of a saved text, and back. What is read is not trusted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pygpt2edge.constrain.constraint import Constraint
from pygpt2edge.constrain.healing import is_healable
from pygpt2edge.constrain.language import Language
from pygpt2edge.errors import FormatError
from pygpt2edge.options import LANGUAGES, SamplingParams
from pygpt2edge.tokenizer import Tokenizer


def resumed_constraint(
    tokenizer: Tokenizer, saved: bytes, prompt: Sequence[int], tokens: Sequence[int]
) -> Constraint:
    """What `Constraint.saved` gave, for a text of these tokens after the prompt.

    Raises FormatError for what makes no sense; MissingDependencyError where llguidance is not
    installed.
    """
    try:
        language, repeated, read = _fields(tokenizer, json.loads(saved))
        constraint = Constraint(tokenizer, language, repeated)
        constraint.go_on(prompt, tokens, read)
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"the saved text's constraint makes no sense: {error}") from error
    return constraint


def _fields(tokenizer: Tokenizer, saved: Any) -> tuple[Language, list[int], list[int]]:
    if not isinstance(saved, dict) or saved.get("option") not in LANGUAGES:
        raise ValueError(f"found {saved!r:.80}, expected regex, json_schema or grammar")
    language = SamplingParams(**{saved["option"]: saved["source"]}).language
    assert language is not None
    repeated, read = (_tokens(tokenizer, saved.get(name)) for name in ("repeated", "tokens"))
    if repeated and not is_healable(tokenizer, repeated):
        raise ValueError(f"tokens {repeated!r:.80} cannot be written again")
    return Language(*language), repeated, read


def _tokens(tokenizer: Tokenizer, found: Any) -> list[int]:
    is_list = isinstance(found, list) and all(type(token) is int for token in found)
    if not is_list or not all(0 <= token < tokenizer.n_vocab for token in found):
        raise ValueError(f"found {found!r:.80}, expected tokens of the vocabulary")
    return list(found)
