"""Text to token ids by the `tokenizers` package, for vocabularies that GPT-2's rule does not cut.

What that package is told is the text of a tokenizer.json, which a converted file carries.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pygpt2edge.errors import FormatError, Gpt2EdgeError, MissingDependencyError
from pygpt2edge.tokenizer.places import Place

if TYPE_CHECKING:
    from tokenizers import Encoding
    from tokenizers import Tokenizer as LibraryTokenizer

_NOT_IN_TEXT = "no text has this: "  # spaces become other characters before the pieces are found


class LibraryEncoder:
    """Turns text into token ids, as `pygpt2edge.Tokenizer.encode` says.

    Args:
      description: the text of a tokenizer.json.
      path: the file it comes from, for messages.
      n_vocab: the vocabulary's size; ids are below.
    """

    def __init__(self, description: str, path: str, n_vocab: int) -> None:
        self._description, self._path, self._n_vocab = description, path, n_vocab

    def encode(self, text: str, allow_special: bool, add_special_tokens: bool) -> list[int]:
        """The token ids of a text in whole characters."""
        return self._checked(self._encoding(text, allow_special, add_special_tokens))

    def encode_with_places(
        self, text: str, allow_special: bool
    ) -> tuple[list[int], list[Place | None]]:
        """As `pygpt2edge.Tokenizer.encode_with_places` says."""
        found = self._encoding(text, allow_special, True)
        is_around = zip(found.offsets, found.special_tokens_mask, strict=True)
        return self._checked(found), [None if around else place for place, around in is_around]

    def _encoding(self, text: str, allow_special: bool, add_special_tokens: bool) -> Encoding:
        library = self._with_special if allow_special else self._plain
        with of_the_file(self._path):
            return library.encode(text, add_special_tokens=add_special_tokens)

    def _checked(self, encoding: Encoding) -> list[int]:
        ids: list[int] = encoding.ids
        if ids and max(ids) >= self._n_vocab:
            raise FormatError(
                f"{self._path}: tokenizer.huggingface.json has a token {max(ids)}, the vocabulary "
                f"{self._n_vocab} tokens: convert the model again"
            )
        return ids

    @cached_property
    def _with_special(self) -> LibraryTokenizer:
        return library_tokenizer(self._description, self._path)

    @cached_property
    def _plain(self) -> LibraryTokenizer:
        """To which the text of a special token is a text like any other."""
        description = self._description
        if '"Unigram"' in description:
            with of_the_file(self._path):
                description = without_special_pieces(description)
        library = library_tokenizer(description, self._path)
        library.encode_special_tokens = True
        return library


def library_tokenizer(description: str, path: str) -> LibraryTokenizer:
    """What the tokenizers package makes of a tokenizer.json.

    Raises MissingDependencyError where it is not installed, FormatError, naming `path`, for what it
    does not understand.
    """
    try:
        from tokenizers import Tokenizer as LibraryTokenizer
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: its text is not cut by GPT-2's rule, which takes the tokenizers package: "
            'pip install "pygpt2edge[tokenizers]"'
        ) from error
    with of_the_file(path):
        return LibraryTokenizer.from_str(description)


def without_special_pieces(description: str) -> str:
    """The same tokenizer.json, where no text gives a special token.

    A Unigram model finds all of its pieces in a text, those of special tokens too, even where the
    library was told that special tokens are plain text.
    """
    import json  # so late: most models need none of this

    described: dict[str, Any] = json.loads(description)
    added = described.get("added_tokens") or []
    special = {token["content"] for token in added if token.get("special")}
    described["added_tokens"] = [token for token in added if not token.get("special")]
    vocabulary = described["model"].get("vocab") or []
    described["model"]["vocab"] = [
        [f"{_NOT_IN_TEXT}{piece}" if piece in special else piece, score]
        for piece, score in vocabulary
    ]
    return json.dumps(described, ensure_ascii=False)


@contextmanager
def of_the_file(path: str) -> Iterator[None]:
    """What the library makes of a description that is not sound is an error of its file."""
    try:
        yield
    except (Gpt2EdgeError, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # a panic of the library is no Exception
        raise FormatError(
            f"{path}: no tokenizer that the tokenizers package reads: {error!s:.200}"
        ) from None
