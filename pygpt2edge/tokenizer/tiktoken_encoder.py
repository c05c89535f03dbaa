"""tiktoken over a model's vocabulary: the ids that the core's tokenizer gives, too.

Added tokens are found in the text first. tiktoken cuts what is between them into pieces, and merges
their bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cached_property

import tiktoken

from pygpt2edge import _core

_USER_DEFINED = 4  # GGUF's type of added tokens that are no special ones

# OpenAI's rule for cutting text. It matches what the published
#   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
# matches, but never looks back over a run of letters, digits or punctuation.
_GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"

# Looking ahead costs the pattern a stack entry for each character of a run of white space, and a
# million of them overflow its stack. So runs this long are cut off before. The class is the \s of
# the pattern (Unicode's White_Space), which is not quite that of Python.
_LONG_RUN = 20_000
_WHITE_SPACE = r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"


class TiktokenEncoder:
    """Turns text into token ids, as `pygpt2edge.Tokenizer.encode` says."""

    def __init__(self, tables: _core.TokenizerTables, token_bytes: list[bytes]) -> None:
        # tiktoken's ids are priorities. The official vocabulary's ids are the same numbers; then
        # the two lists, which take milliseconds to make, are not needed.
        in_order = tables.is_ranked_by_id
        self._ranked = token_bytes[: tables.n_ranked] if in_order else tables.merges_ranks
        self._id_of_rank = None if in_order else tables.ranked_ids

        special = set(tables.special_tokens)
        added = set(tables.tokens_of_type(_USER_DEFINED)) - special
        self._special = _TextFinder((token_bytes[i], i) for i in special)
        self._added = _TextFinder((token_bytes[i], i) for i in added)

    def encode(self, text: str, allow_special: bool) -> list[int]:
        """The token ids of a text in whole characters."""
        parts = self._special.split(text) if allow_special else iter([text])
        tokens: list[int] = []
        for part in parts:
            for piece in self._added.split(part) if isinstance(part, str) else [part]:
                if isinstance(piece, str):
                    tokens += self._encode_plain(piece)
                else:
                    tokens.append(piece)
        return tokens

    def _encode_plain(self, text: str) -> list[int]:
        ranks: list[int] = []
        start = 0
        for run in self._long_runs(text):
            # The last white space before a word goes with the word, or is a piece by itself.
            end = run.end() if run.end() == len(text) else run.end() - 1
            ranks += self._words.encode_ordinary(text[start : run.start()])
            ranks += self._whole.encode_ordinary(text[run.start() : end])
            start = end
        ranks += self._words.encode_ordinary(text[start:] if start else text)
        return ranks if self._id_of_rank is None else self._to_ids(ranks, self._id_of_rank)

    @staticmethod
    def _long_runs(text: str) -> Iterator[re.Match[str]]:
        if len(text) < _LONG_RUN:
            return iter(())
        return re.finditer(f"{_WHITE_SPACE}{{{_LONG_RUN},}}", text)

    def _to_ids(self, ranks: list[int], id_of_rank: list[int]) -> list[int]:
        tokens = [id_of_rank[rank] for rank in ranks]
        if -1 in tokens:
            missing = self._ranked[ranks[tokens.index(-1)]][0]
            raise ValueError(f"the model's vocabulary has no token for the byte 0x{missing:02X}")
        return tokens

    @cached_property
    def _words(self) -> tiktoken.Encoding:
        """Cuts text by GPT-2's rule. Made when text first comes: it takes a while."""
        return self._encoding(_GPT2_PATTERN)

    @cached_property
    def _whole(self) -> tiktoken.Encoding:
        """Takes any text as one piece."""
        return self._encoding(r"(?s:.+)")

    def _encoding(self, pattern: str) -> tiktoken.Encoding:
        ranks = dict(zip(self._ranked, range(len(self._ranked)), strict=True))
        return tiktoken.Encoding(
            "gpt2-of-the-model", pat_str=pattern, mergeable_ranks=ranks, special_tokens={}
        )


class _TextFinder:
    """Finds the texts of added tokens: the leftmost first, and the longest that begins there."""

    def __init__(self, tokens: Iterable[tuple[bytes, int]]) -> None:
        self._ids: dict[str, int] = {}
        for data, token in sorted(tokens):
            with suppress(UnicodeDecodeError):  # no text has what is not UTF-8
                self._ids.setdefault(data.decode(), token)
        longest_first = sorted(self._ids, key=len, reverse=True)
        pattern = f"({'|'.join(map(re.escape, longest_first))})"
        self._pattern = re.compile(pattern) if self._ids else None

    def split(self, text: str) -> Iterator[str | int]:
        """The text between added tokens as it is, and the ids of added tokens."""
        if self._pattern is None:
            yield text
            return
        for i, part in enumerate(self._pattern.split(text)):  # text and tokens in turn
            yield self._ids[part] if i % 2 else part
