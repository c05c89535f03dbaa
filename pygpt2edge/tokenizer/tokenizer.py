"""GPT-2's tokenizer over the vocabulary that a model's file carries.

Text is cut into words, numbers, punctuation and runs of spaces, and the bytes of each piece are
merged, the most frequent pairs first. Added tokens are found in the text before that. tiktoken does
it or, where that is not installed, the core. Some models cut text by another rule: the file then
describes it, and the tokenizers package encodes by that description.
Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, section 2.2.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from pathlib import Path

from pygpt2edge import _core
from pygpt2edge.errors import FormatError
from pygpt2edge.tokenizer.library_encoder import LibraryEncoder
from pygpt2edge.tokenizer.places import Place, character_places

END_OF_TEXT = "<|endoftext|>"

_NORMAL, _CONTROL = 1, 3  # GGUF's token types


class Tokenizer:
    """Turns text into token ids and back.

    Made from a GGUF file by `GPT2`, which has it as `.tokenizer`, or from OpenAI's two vocabulary
    files by `from_files`. It gives the ids that tiktoken's "gpt2" encoding and transformers'
    GPT2TokenizerFast give, and for a model with another tokenizer (WordPiece, SentencePiece ...)
    those of that one in transformers.

    Args:
      tables: the vocabulary as the core has it.
      description: the text of a tokenizer.json, where the tables have another rule than GPT-2's.

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

    def __init__(self, tables: _core.TokenizerTables, description: str | None = None) -> None:
        self.tables = tables
        self._bytes: list[bytes] = tables.token_bytes
        self.n_vocab: int = len(self._bytes)
        self.bos_token: int | None = tables.bos_token
        self.eos_token: int | None = tables.eos_token

        self.special_tokens = frozenset(tables.special_tokens)
        self._hidden_spaces = tables.hidden_spaces
        self._library = (
            LibraryEncoder(description, tables.path, self.n_vocab)
            if tables.other_rule and description is not None
            else None
        )

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

    def encode(
        self, text: str, *, allow_special: bool = False, add_special_tokens: bool = True
    ) -> list[int]:
        """The token ids of a text; with GPT-2's tokenizer, none for an empty one.

        Args:
          allow_special: read the text of special tokens, such as "<|endoftext|>", as those tokens.
            By default it is plain text, so that text from strangers cannot end a document. Other
            added tokens are always found.
          add_special_tokens: with the tokens that the model's tokenizer puts around a text, as
            transformers' does. GPT-2's has none, BERT's "[CLS]" and "[SEP]".

        Half a surrogate pair, which no text should contain, counts as U+FFFD.
        Raises ValueError for a text with a byte that the vocabulary has no token for; only
        vocabularies that were cut down lack any. Raises MissingDependencyError where the model's
        tokenizer takes the tokenizers package, and that is not installed.
        """
        text = whole_characters(text)
        if self._library is None:
            return self._encode(text, allow_special)
        return self._library.encode(text, allow_special, add_special_tokens)

    def encode_with_places(
        self, text: str, *, allow_special: bool = False
    ) -> tuple[list[int], list[Place | None]]:
        """The token ids of a text, and where each is in it, in characters; None for a token that is
        put around the text. A token that is a part of a character has all of it."""
        text = whole_characters(text)
        if self._library is not None:
            return self._library.encode_with_places(text, allow_special)
        ids = self._encode(text, allow_special)
        return ids, [*self.places(ids)]

    def places(self, tokens: Iterable[int]) -> list[Place]:
        """Where each token is in the text of all of them, in characters."""
        return character_places([self.token_bytes(token) for token in tokens])

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
        asks for ("strict", "ignore" ...; see bytes.decode). Where the tokenizer puts a space before
        a text, the first token is without it. Raises ValueError for an id that is no token.
        """
        pieces = [self.token_bytes(token) for token in tokens]
        if pieces and self._hidden_spaces:
            n_spaces = len(pieces[0]) - len(pieces[0].lstrip(b" "))
            pieces[0] = pieces[0][min(n_spaces, self._hidden_spaces) :]
        return b"".join(pieces).decode("utf-8", errors)

    def decode_bytes(self, tokens: Iterable[int]) -> bytes:
        """The bytes of tokens, which need not be whole characters, as they are behind other tokens.
        Raises as `decode` does."""
        return b"".join(map(self.token_bytes, tokens))

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token. Raises ValueError for an id that is no token."""
        if not 0 <= token < self.n_vocab:
            raise ValueError(f"there is no token {token}; ids are 0 to {self.n_vocab - 1}")
        return self._bytes[token]

    @cached_property
    def core(self) -> _core.Tokenizer:
        """The core's tokenizer. Made when it is first asked for: it takes a few milliseconds."""
        if self._library is None:
            return _core.Tokenizer(self.tables)
        return _core.Tokenizer(self.tables, partial(self._library.encode, add_special_tokens=False))

    @cached_property
    def _encode(self) -> Callable[[str, bool], list[int]]:
        """By tiktoken or, where that is left out, by the core. Both give the same ids. The core
        refuses a vocabulary that GPT-2's rule does not cut."""
        if self.tables.other_rule:
            return self.core.encode
        try:
            from pygpt2edge.tokenizer.tiktoken_encoder import TiktokenEncoder
        except ImportError:
            return self.core.encode
        return TiktokenEncoder(self.tables, self._bytes).encode


def whole_characters(text: str) -> str:
    """The text, where half a surrogate pair, which is no character, counts as U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _by_id(path: Path, vocabulary: object) -> list[str]:
    if not isinstance(vocabulary, dict) or not vocabulary:
        raise FormatError(f"{path}: has no vocabulary, expected an object of token: id")
    by_id = {token_id: token for token, token_id in vocabulary.items()}
    if by_id.keys() != set(range(len(vocabulary))):
        raise FormatError(f"{path}: the ids of {len(vocabulary)} tokens are not 0, 1, 2 and so on")
    return [by_id[i] for i in range(len(by_id))]
