"""GPT-2's tokenizer: tiktoken over the vocabulary that a model's file carries.

Text is cut into words, numbers, punctuation and runs of spaces, and the bytes of each piece are
merged, the most frequent pairs first. Added tokens are found in the text before that.
Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, section 2.2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pygpt2edge import _core
from pygpt2edge.errors import FormatError

if TYPE_CHECKING:
    import tiktoken

END_OF_TEXT = "<|endoftext|>"

_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4  # GGUF's token types

# OpenAI's rule for cutting text. It matches what the published
#   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
# matches, but never looks back over a run of letters, digits or punctuation.
_GPT2_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"

# Looking ahead costs the pattern a stack entry for each character of a run of white space, and a
# million of them overflow its stack. So runs this long are cut off before. The class is the \s of
# the pattern (Unicode's White_Space), which is not quite that of Python.
_LONG_RUN = 20_000
_WHITE_SPACE = r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"


class Tokenizer:
    """Turns text into token ids and back.

    Made from a GGUF file by `GPT2`, which has it as `.tokenizer`, or from OpenAI's two vocabulary
    files by `from_files`. It gives the ids that tiktoken's "gpt2" encoding and transformers'
    GPT2TokenizerFast give.

    Attributes:
      n_vocab: how many tokens there are; ids are 0 to n_vocab - 1.
      bos_token, eos_token: the ids that begin and end a document, None where there is none. GPT-2
        has "<|endoftext|>" for both.
      special_tokens: the ids that stand for no text: those two, and other control tokens.
      tables: the vocabulary as the core has it.

    Examples:
      >>> from pygpt2edge import GPT2
      >>> tokenizer = GPT2().tokenizer
      >>> tokenizer.decode(tokenizer.encode("Hello, world"))
      'Hello, world'
    """

    def __init__(self, tables: _core.TokenizerTables) -> None:
        self.tables = tables
        self._bytes: list[bytes] = tables.token_bytes
        self.n_vocab: int = len(self._bytes)
        self.bos_token: int | None = tables.bos_token
        self.eos_token: int | None = tables.eos_token

        # tiktoken's ids are priorities. The official vocabulary's ids are the same numbers; then
        # the two lists, which take milliseconds to make, are not needed.
        in_order = tables.is_ranked_by_id
        self._ranked = self._bytes[: tables.n_ranked] if in_order else tables.merges_ranks
        self._id_of_rank = None if in_order else tables.ranked_ids

        special = set(tables.tokens_of_type(_CONTROL))
        special |= {i for i in (self.bos_token, self.eos_token) if i is not None}
        self.special_tokens = frozenset(special)
        added = set(tables.tokens_of_type(_USER_DEFINED)) - special
        self._special = _TextFinder({self._text(i): i for i in special})
        self._added = _TextFinder({self._text(i): i for i in added})

    @classmethod
    def from_files(
        cls, encoder_json: str | os.PathLike[str], vocab_bpe: str | os.PathLike[str]
    ) -> Tokenizer:
        """From `encoder.json` and `vocab.bpe` (Hugging Face: `vocab.json` and `merges.txt`).

        Raises OSError, or FormatError for files that are not a vocabulary and its merges.
        """
        from pygpt2edge.json_file import read_json

        path = Path(encoder_json)
        tokens = _by_id(path, read_json(path))
        lines = Path(vocab_bpe).read_bytes().splitlines()
        if lines and lines[0].startswith(b"#version"):
            del lines[0]
        end = tokens.index(END_OF_TEXT) if END_OF_TEXT in tokens else None
        tables = _core.TokenizerTables(
            tokens=tokens,
            token_types=[_CONTROL if token == END_OF_TEXT else _NORMAL for token in tokens],
            merges=[line for line in lines if line],
            bos_token=end,
            eos_token=end,
            path=f"{path} and {vocab_bpe}",
        )
        return cls(tables)

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """The token ids of a text; none for an empty one.

        Args:
          allow_special: read the text of special tokens, such as "<|endoftext|>", as those tokens.
            By default it is plain text, so that text from strangers cannot end a document. Other
            added tokens are always found.

        Half a surrogate pair, which no text should contain, counts as U+FFFD.
        Raises ValueError for a text with a byte that the vocabulary has no token for; only
        vocabularies that were cut down lack any.
        """
        parts = self._special.split(text) if allow_special else iter([text])
        tokens: list[int] = []
        for part in parts:
            for piece in self._added.split(part) if isinstance(part, str) else [part]:
                if isinstance(piece, str):
                    tokens += self._encode_plain(piece)
                else:
                    tokens.append(piece)
        return tokens

    def is_same_as(self, other: Tokenizer) -> bool:
        """Whether both have the same tokens under the same ids."""
        ends = (self.bos_token, self.eos_token) == (other.bos_token, other.eos_token)
        return ends and self._bytes == other._bytes

    def count(self, text: str) -> int:
        """How many tokens `encode` makes of a text."""
        return len(self.encode(text))

    def decode(self, tokens: Iterable[int], *, errors: str = "replace") -> str:
        """The text of tokens.

        Tokens may end inside a character; bytes that are not UTF-8 become U+FFFD, or what `errors`
        asks for ("strict", "ignore" ...; see bytes.decode). Raises ValueError for an id that is no
        token.
        """
        return self.decode_bytes(tokens).decode("utf-8", errors)

    def decode_bytes(self, tokens: Iterable[int]) -> bytes:
        """The bytes of tokens, which need not be whole characters. Raises as `decode` does."""
        return b"".join(map(self.token_bytes, tokens))

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token. Raises ValueError for an id that is no token."""
        if not 0 <= token < self.n_vocab:
            raise ValueError(f"there is no token {token}; ids are 0 to {self.n_vocab - 1}")
        return self._bytes[token]

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
        import tiktoken

        ranks = dict(zip(self._ranked, range(len(self._ranked)), strict=True))
        return tiktoken.Encoding(
            "gpt2-of-the-model", pat_str=pattern, mergeable_ranks=ranks, special_tokens={}
        )

    def _text(self, token: int) -> str:
        return self._bytes[token].decode("utf-8", "surrogateescape")


class _TextFinder:
    """Finds the texts of added tokens: the leftmost first, and the longest that begins there."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._ids = ids
        longest_first = sorted(ids, key=len, reverse=True)
        self._pattern = re.compile(f"({'|'.join(map(re.escape, longest_first))})") if ids else None

    def split(self, text: str) -> Iterator[str | int]:
        """The text between added tokens as it is, and the ids of added tokens."""
        if self._pattern is None:
            yield text
            return
        for i, part in enumerate(self._pattern.split(text)):  # text and tokens in turn
            yield self._ids[part] if i % 2 else part


def _by_id(path: Path, vocabulary: object) -> list[str]:
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise FormatError(f"{path}: has no vocabulary, expected an object of token: id")
    by_id = {token_id: token for token, token_id in vocabulary.items()}
    if by_id.keys() != set(range(len(vocabulary))):
        raise FormatError(f"{path}: the ids of {len(vocabulary)} tokens are not 0, 1, 2 and so on")
    return [by_id[i] for i in range(len(by_id))]
