"""Grammars may force a text that never ends.

In `start: A "a"` with `A: /a+/`, A takes every "a" and none is left for the end: after an "a" only
another one may come. llguidance writes what is forced at once, before it computes a mask too, and
within one terminal it has no limit: it would go on until memory is full. So it is asked only where
what is forced comes to an end, or is longer than any text that is meant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pygpt2edge.constrain.vocabulary import vocabulary_of

if TYPE_CHECKING:
    from llguidance import LLMatcher

    from pygpt2edge.constrain.language import Language
    from pygpt2edge.tokenizer import Tokenizer

_MOST = 8192  # bytes that a grammar may force at once: no context of GPT-2 has so many
_IN_TEXT = [byte for byte in range(256) if byte not in (0xC0, 0xC1) and byte < 0xF5]  # of UTF-8


def forced_text_of(tokenizer: Tokenizer, language: Language) -> ForcedText | None:
    """None for a regex and a schema: every beginning of a text of theirs can come to an end."""
    return ForcedText(tokenizer) if language.option == "grammar" else None


class ForcedText:
    """What is forced at a place in a grammar's text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        encode = vocabulary_of(tokenizer).tokenize_bytes
        # A token for each byte; those that were possible last come first.
        self._bytes = [token for byte in _IN_TEXT for token in encode(bytes([byte]))]

    def check(self, matcher: LLMatcher) -> None:
        """Raises ValueError where it has no end that is near. The matcher stays where it is."""
        token = self._only_byte(matcher)
        if token is None:
            return
        ahead = matcher.deep_copy()
        for _ in range(_MOST):
            if token is None or not ahead.consume_token(token):
                return
            token = self._only_byte(ahead)
        raise ValueError(f"grammar: it forces a text that never ends, or has over {_MOST:,} bytes")

    def _only_byte(self, matcher: LLMatcher) -> int | None:
        """The token of the one byte that may come next; None where there is a choice, or an end."""
        if matcher.is_stopped() or matcher.is_error() or matcher.is_accepting():
            return None
        only = None
        for i, token in enumerate(self._bytes):
            if matcher.validate_tokens([token]) == 0:
                continue
            if only is not None:
                self._bytes.insert(0, self._bytes.pop(i))
                return None
            only = token
        return only
