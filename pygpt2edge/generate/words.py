"""What a word is, and which tokens go on with one.

A word is a run of letters, digits and the marks on them, with apostrophes inside. A character of a
script written without spaces (Chinese, Japanese, Thai ...) is a word by itself.
"""

from __future__ import annotations

import codecs
import unicodedata
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pygpt2edge.tokenizer import Tokenizer

MAX_TYPED = 64  # letters; what is longer is no word that anybody would have completed

# Between two letters they belong to the word: apostrophes, and what joins letters (or keeps them
# from joining) in Persian and in the scripts of India.
_JOINERS = "'\u2019\u200c\u200d"
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),
    (0x3040, 0x30FF),  # Japanese syllables
    (0x31F0, 0x31FF),
    (0x3400, 0x9FFF),  # Chinese
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)
_VARIATIONS = "\ufe0e\ufe0f"  # marks, but of emoji

_LETTER, _MARK, _JOINER, _WHOLE_WORD, _OTHER = range(5)


@lru_cache(maxsize=4096)
def _kind(character: str) -> int:
    code = ord(character)
    if any(first <= code <= last for first, last in _WITHOUT_SPACES):
        return _WHOLE_WORD if unicodedata.category(character)[0] in "LMN" else _OTHER
    if character.isalnum():
        return _LETTER
    if character in _JOINERS:
        return _JOINER
    is_mark = unicodedata.category(character)[0] == "M" and character not in _VARIATIONS
    return _MARK if is_mark else _OTHER


@dataclass(frozen=True)
class Typed:
    """Where a text stops: what comes before the word, and what there is of it.

    `prefix` are the bytes that the rest begins with: b" wea", b" " where a word with a space before
    it is to come, b"" where there is nothing yet; `may_space` says that a space may come first.
    """

    context: str
    prefix: bytes
    may_space: bool = False

    @classmethod
    def at_end_of(cls, text: str) -> Typed | None:
        """None for a text that ends in a word too long to be one."""
        start = _start_of_word(text)
        if len(text) - start > MAX_TYPED:
            return None
        # Tokens hold the space before a word: it goes to the word, and other spaces do not.
        begins = start - 1 if text[:start].endswith(" ") else start
        if begins < len(text):
            return cls(text[:begins], text[begins:].encode())
        return cls(text, b"", may_space=bool(text) and not text[-1].isspace())


def _start_of_word(text: str) -> int:
    """Where the word begins that the text ends in; the text's length where it ends in none."""
    start = len(text)
    first = max(0, start - MAX_TYPED - 1)
    while start > first:
        kind = _kind(text[start - 1])
        if kind == _JOINER:
            kind = _kind(text[start - 2]) if start > 1 else _OTHER
        if kind not in (_LETTER, _MARK):
            break
        start -= 1
    while start < len(text) and _kind(text[start]) == _MARK:
        start += 1
    return start


def read_word(data: bytes) -> tuple[int, bool]:
    """How many of the first bytes are a word, and whether it ends there.

    It has not ended where the data does, or where an apostrophe or a part of a character stands at
    the data's end: that may be in the word or not, and is not counted.
    """
    if data.isalnum():  # of ASCII, for bytes
        return len(data), False
    try:
        text, is_utf8 = codecs.utf_8_decode(data, "strict", False)[0], True
    except UnicodeDecodeError as error:
        text, is_utf8 = data[: error.start].decode(), False
    n_certain, before = 0, _OTHER
    for i, character in enumerate(text):
        kind = _kind(character)
        if kind == _WHOLE_WORD and i == 0:
            return len(character.encode()), True
        if kind == _LETTER or (kind == _MARK and before in (_LETTER, _MARK)):
            n_certain = i + 1
        elif kind != _JOINER or before not in (_LETTER, _MARK):
            return len(text[:n_certain].encode()), True
        before = kind
    return len(text[:n_certain].encode()), not is_utf8


def _is_whole(data: bytes) -> bool:
    return codecs.utf_8_decode(data, "strict", False)[1] == len(data)


# Those that a word may begin or go on with, or the space before it.
_FIRST_BYTES = [byte for byte in range(256) if byte >= 0x80 or chr(byte).isalnum() or byte in b"' "]


class Vocabulary:
    """A tokenizer's tokens in the order of their bytes; an index here is a place in that order.

    Control tokens, such as end-of-text, and tokens without bytes are not among them.

    Attributes:
      tokens: int32 (n), the token ids in that order.
    """

    _MAX_KNOWN = 64

    def __init__(self, tokenizer: Tokenizer) -> None:
        texts = [tokenizer.token_bytes(token) for token in range(tokenizer.n_vocab)]
        tokens = sorted(range(len(texts)), key=texts.__getitem__)
        tokens = [i for i in tokens if texts[i] and i not in tokenizer.special_tokens]
        self.tokens = np.array(tokens, np.int32)
        self._texts = [texts[token] for token in tokens]
        self._indices = {token: i for i, token in enumerate(tokens)}
        self._known: OrderedDict[tuple[bytes, bool], NDArray[np.int32]] = OrderedDict()
        for data, may_space in ((b"", True), (b"", False), (b"a'", False), (b"a", False)):
            self.continuing(data, may_space)  # soon needed, and the slow ones

    def index(self, token: int) -> int:
        """The index of a token. Raises KeyError for one that is not here."""
        return self._indices[token]

    def text(self, index: int) -> bytes:
        """The bytes of a token."""
        return self._texts[index]

    def beginning_with(self, data: bytes) -> range:
        """The indices of the tokens that begin so; `data` is not empty, and UTF-8 from some point
        of a character on."""
        after = data[:-1] + bytes([data[-1] + 1])  # 0xff is in no UTF-8
        return range(bisect_left(self._texts, data), bisect_left(self._texts, after))

    def proper_beginnings(self, data: bytes) -> list[int]:
        """The indices of the tokens that `data` begins with and that are shorter."""
        found = []
        for n in range(1, len(data)):
            i = bisect_left(self._texts, data[:n])
            while i < len(self._texts) and self._texts[i] == data[:n]:
                found.append(i)
                i += 1
        return found

    def continuing(self, data: bytes, may_space: bool) -> NDArray[np.int32]:
        """The indices of the tokens after which the word that `data` begins goes on, may go on or
        is longer. `data` may be empty; with `may_space`, a space may then come before the word."""
        # All that counts is whether there is a word, and what may be of it or not.
        n, _ = read_word(data)
        key = ((b"a" if n else b"") + data[n:], may_space)
        if key not in self._known:
            self._known[key] = np.array(list(self._continuing(*key)), np.int32)
            if len(self._known) > self._MAX_KNOWN:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def _continuing(self, data: bytes, may_space: bool) -> Iterator[int]:
        n, _ = read_word(data)
        in_character = not _is_whole(data)
        for first in range(0x80, 0xC0) if in_character else _FIRST_BYTES:
            if first == ord(" ") and not may_space:
                continue
            for i in self._beginning_with_byte(first):
                text = self._texts[i].removeprefix(b" ")
                if text.isalnum():  # most are
                    yield i
                    continue
                n_now, ended = read_word(data + text)
                if n_now > n or not ended:
                    yield i

    def _beginning_with_byte(self, byte: int) -> range:
        end = bisect_left(self._texts, bytes([byte + 1])) if byte < 255 else len(self._texts)
        return range(bisect_left(self._texts, bytes([byte])), end)
