"""A model's vocabulary, as llguidance wants it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from pygpt2edge.errors import MissingDependencyError
from pygpt2edge.process.lock import ProcessLock

if TYPE_CHECKING:
    from llguidance import LLTokenizer

    from pygpt2edge.tokenizer import Tokenizer

# Sets of tokens, those that an expression matches, which llguidance takes as a whole where the
# language allows all of them; it looks at the other tokens one by one. They have to contain each
# other or to have no token in common. A literal and repeated characters is the form that llguidance
# compares with the rest of a language. So: JSON's white space and strings, nearly as in its own
# default, and words, of which most of the vocabulary is made.
_TEXT = r'[^"\\\x00-\x1F\x7F]'
_SLICES = [
    r"[\x20\x0A\x0D\x09]+",
    *(_TEXT + repeated for repeated in ("{1,16}", "{1,30}", "+")),
    *(f" [{letters}]{{1,12}}" for letters in ("A-Za-z", "a-z")),
    *(f"[{letters}]{{1,{n}}}" for letters in ("A-Za-z", "a-z") for n in (3, 6, 10)),
]

_known: WeakKeyDictionary[Tokenizer, LLTokenizer] = WeakKeyDictionary()
_lock = ProcessLock()
_ALL_BYTES = frozenset(bytes([byte]) for byte in range(256))


def vocabulary_of(tokenizer: Tokenizer) -> LLTokenizer:
    """Made once for each tokenizer: it takes a quarter of a second.

    A vocabulary without an end-of-text token gets one behind its last token.
    Raises MissingDependencyError where llguidance is not installed.
    """
    try:
        from llguidance import LLTokenizer
        from llguidance._tokenizer import TokenizerWrapper
    except ImportError as error:
        raise MissingDependencyError(
            'regex, json_schema and grammar need llguidance: pip install "pygpt2edge[constrain]"'
        ) from error
    with _lock:
        if tokenizer not in _known:
            wrapped = TokenizerWrapper(_Wrapped(tokenizer))
            _known[tokenizer] = LLTokenizer(wrapped, slices=_SLICES)
        return _known[tokenizer]


class Longer(NamedTuple):
    """The tokens that begin with some bytes and are longer."""

    mask: int  # a bit for each token, that of token 0 the lowest
    next_bytes: frozenset[bytes]  # what they have next


class TokenPrefixes:
    """Which tokens begin with some bytes. Special tokens are not text, and none of them."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        ids = (token for token in range(tokenizer.n_vocab) if token not in tokenizer.special_tokens)
        self._sorted = sorted((tokenizer.token_bytes(token), token) for token in ids)
        self._n_bytes = tokenizer.n_vocab // 8 + 1  # of a mask
        self.longer = lru_cache(maxsize=256)(self._longer)

    def _longer(self, prefix: bytes) -> Longer:
        """The prefix is the end of a text."""
        after = prefix[:-1] + bytes([prefix[-1] + 1])  # UTF-8 has no byte 255
        first = bisect_left(self._sorted, (prefix,))
        last = bisect_left(self._sorted, (after,), first)
        found = [each for each in self._sorted[first:last] if each[0] != prefix]
        mask = bytearray(self._n_bytes)
        for _, token in found:
            mask[token // 8] |= 1 << token % 8
        n = len(prefix)
        next_bytes = frozenset(text[n : n + 1] for text, _ in found)
        return Longer(int.from_bytes(mask, "little"), next_bytes)


_prefixes: WeakKeyDictionary[Tokenizer, TokenPrefixes] = WeakKeyDictionary()


def prefixes_of(tokenizer: Tokenizer) -> TokenPrefixes:
    """Made once for each tokenizer."""
    with _lock:
        if tokenizer not in _prefixes:
            _prefixes[tokenizer] = TokenPrefixes(tokenizer)
        return _prefixes[tokenizer]


def n_tokens(tokenizer: Tokenizer) -> int:
    """How many tokens a text may have here. llguidance knows more where the vocabulary lacks single
    bytes: it wants a token for each."""
    return max(tokenizer.n_vocab, end_token(tokenizer) + 1)


def end_token(tokenizer: Tokenizer) -> int:
    """The id that ends a text for llguidance."""
    return tokenizer.n_vocab if tokenizer.eos_token is None else tokenizer.eos_token


class _Wrapped:
    """What TokenizerWrapper takes: attributes of these names, and a call that encodes a text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.eos_token_id = end_token(tokenizer)
        self.bos_token_id = tokenizer.bos_token
        self.tokens = [tokenizer.token_bytes(token) for token in range(tokenizer.n_vocab)]
        if self.eos_token_id == tokenizer.n_vocab:
            self.tokens.append(b"<end>")
        self.special_token_ids = sorted(tokenizer.special_tokens | {self.eos_token_id})
        if tokenizer.tables.other_rule:
            self.tokens += sorted(_ALL_BYTES - set(self.tokens))
        self._encode = tokenizer.core.encode  # not the tokenizer's: that would keep it alive
        self._exact = (
            _ExactEncoder(self.tokens, self.special_token_ids)
            if tokenizer.tables.other_rule
            else None
        )

    def __call__(self, text: bytes | str) -> list[int]:
        if isinstance(text, bytes):
            text = text.decode()
        tokens = self._encode(text, False)
        return tokens if self._exact is None else self._exact.checked(text.encode(), tokens)


class _ExactEncoder:
    """Tokens of some bytes, and of no others. A tokenizer that changes a text, as by a space before
    it, is not asked again: the longest token comes first then."""

    def __init__(self, tokens: Sequence[bytes], special: Sequence[int]) -> None:
        ids = set(range(len(tokens))) - set(special)
        self._bytes = tokens
        self._ids = {tokens[token]: token for token in sorted(ids, reverse=True)}
        self._longest = max(map(len, self._ids))

    def checked(self, data: bytes, tokens: list[int]) -> list[int]:
        """These tokens where they are the bytes, else others."""
        if b"".join(self._bytes[token] for token in tokens) == data:
            return tokens
        found: list[int] = []
        start = 0
        while start < len(data):
            ends = range(min(len(data), start + self._longest), start, -1)
            end = next(end for end in ends if data[start:end] in self._ids)
            found.append(self._ids[data[start:end]])
            start = end
        return found
