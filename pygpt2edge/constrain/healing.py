"""Token healing: a prompt may end where the model would see no end of a token.

"The link is http:" ends in the token ":", but the model has read links with the token "://", and
finds "//" unlikely after ":" alone. So the last tokens of a prompt are left to the text, which then
begins with them, or with a token in place of them that goes on behind the prompt's end.
Sources: Lundberg, "The Art of Prompt Design: Prompt Boundaries and Token Healing", 2023; llguidance
leaves out tokens of a prompt where one of the vocabulary's goes on into the grammar. There the text
may cut the prompt's end in any way; here it keeps to the prompt's own tokens up to the one that
goes on, because the model knows texts cut as the tokenizer cuts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pygpt2edge.constrain.endless import forced_text_of
from pygpt2edge.constrain.language import Language, matcher_of
from pygpt2edge.constrain.vocabulary import prefixes_of, vocabulary_of

if TYPE_CHECKING:
    from pygpt2edge.tokenizer import Tokenizer

_MOST = 4  # tokens that are left to the text, as in llguidance


def repeated_tokens(
    tokenizer: Tokenizer, language: Language, prompt: Sequence[int]
) -> Sequence[int]:
    """The last tokens of a prompt that a text of the language may write in another way: as many as
    one token may stand for, none where no token goes on behind the prompt. The first token stays:
    the model needs one to start from."""
    for n in range(min(_MOST, len(prompt) - 1), 0, -1):
        last = prompt[-n:]
        if is_healable(tokenizer, last) and _is_crossed(tokenizer, language, last):
            return last
    return ()


def is_healable(tokenizer: Tokenizer, last: Sequence[int]) -> bool:
    """Whether tokens at a prompt's end are few enough, and text."""
    is_text = tokenizer.special_tokens.isdisjoint(last)
    return is_text and len(last) <= _MOST and _is_text(tokenizer.decode_bytes(last))


def _is_crossed(tokenizer: Tokenizer, language: Language, last: Sequence[int]) -> bool:
    """Whether a token has all bytes of these, and then bytes that a text may begin with."""
    end = tokenizer.decode_bytes(last)
    longer = prefixes_of(tokenizer).longer(end)
    if not longer.next_bytes:
        return False
    # Most prompts are told by the next byte, and then the language is not compiled for their end.
    alone = matcher_of(language, tokenizer)
    encode = vocabulary_of(tokenizer).tokenize_bytes
    if not any(alone.validate_tokens(encode(byte)) for byte in longer.next_bytes):
        return False
    joined = matcher_of(language, tokenizer, end.decode())
    if forced_text := forced_text_of(tokenizer, language):
        forced_text.check(joined)
    return int.from_bytes(joined.compute_bitmask(), "little") & longer.mask != 0


def _is_text(data: bytes) -> bool:
    """Whether it is whole characters."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
