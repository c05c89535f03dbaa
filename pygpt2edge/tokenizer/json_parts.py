"""The parts of a tokenizer.json, by the names that the tokenizers package gives them."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any

from pygpt2edge.errors import UnsupportedError

# GGUF's types of tokens
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SPACE = "\u2581"  # stands for a space in a token
_LONGEST_PIECE = 1024  # characters; SentencePiece's trainer makes 16 at most by default
_WORD_LENGTH = 100  # characters; BERT's tokenizers know no longer words

Json = dict[str, Any]


def added_token(token_id: int, content: str, *, special: bool) -> Json:
    return {
        "id": token_id, "content": content, "special": special, "normalized": False,
        "single_word": False, "lstrip": False, "rstrip": False,
    }  # fmt: skip


def word_pieces(
    pieces: Sequence[str],
    unknown: str,
    *,
    lowercase: bool = True,
    strip_accents: bool | None = None,
    handle_chinese_chars: bool = True,
) -> Json:
    """BERT's way, by the names that the tokenizers package gives its parts."""
    return {
        "normalizer": {
            "type": "BertNormalizer", "clean_text": True, "lowercase": lowercase,
            "strip_accents": strip_accents, "handle_chinese_chars": handle_chinese_chars,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": _WORD_LENGTH,
            "vocab": {piece: i for i, piece in enumerate(pieces)},
        },
    }  # fmt: skip


def sentence_pieces(
    model: Json,
    *,
    charsmap: bytes = b"",
    add_space_prefix: bool = True,
    remove_extra_whitespaces: bool = True,
    whole: Sequence[str] = (),
) -> Json:
    """SentencePiece's way: what it does to a text, and to pieces that become a text again.

    `whole`: pieces that are found in a text before others are looked for.
    """
    normalizers: list[Json] = []
    if charsmap:
        encoded = base64.b64encode(charsmap).decode()
        normalizers.append({"type": "Precompiled", "precompiled_charsmap": encoded})
    if remove_extra_whitespaces:
        normalizers += [replaced(r"\A +| +\z", ""), replaced(" {2,}", " ")]
    if add_space_prefix:
        normalizers.append({"type": "Prepend", "prepend": " "})
    normalizers.append({"type": "Replace", "pattern": {"String": " "}, "content": SPACE})
    decoders: list[Json] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if add_space_prefix:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "normalizer": {"type": "Sequence", "normalizers": normalizers},
        "pre_tokenizer": _cut_out(whole),
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": model,
    }


def replaced(pattern: str, content: str) -> Json:
    """The normalizer that replaces what a regular expression matches."""
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def unigram_model(pieces: Sequence[str], scores: Sequence[float], unknown: int, *,
                  byte_fallback: bool) -> Json:  # fmt: skip
    return {
        "type": "Unigram", "unk_id": unknown, "byte_fallback": byte_fallback,
        "vocab": [list(each) for each in zip(pieces, scores, strict=True)],
    }  # fmt: skip


def pair_model(pieces: Sequence[str], scores: Sequence[float], types: Sequence[int],
               unknown: str, *, byte_fallback: bool, source: str) -> Json:  # fmt: skip
    """SentencePiece's byte-pair encoding. It joins the pair first whose result has the best score,
    and tells no pairs: all are tried that two normal pieces make. Raises UnsupportedError, naming
    `source`, for pieces so long that this would take for ever."""
    ids = {piece: i for i, piece in enumerate(pieces) if types[i] == NORMAL}
    longest = max(map(len, ids), default=0)
    if longest > _LONGEST_PIECE:  # each is cut in two at every place
        raise UnsupportedError(
            f"{source}: a piece of the vocabulary has {longest:,} characters, expected "
            f"{_LONGEST_PIECE:,} at most"
        )
    ranked = sorted(
        (-scores[i], i, piece[:n], piece[n:])
        for piece, i in ids.items()
        for n in range(1, len(piece))
        if piece[:n] in ids and piece[n:] in ids
    )
    return {
        "type": "BPE", "unk_token": unknown, "fuse_unk": True, "byte_fallback": byte_fallback,
        "ignore_merges": USER_DEFINED in types,
        "vocab": {piece: i for i, piece in enumerate(pieces)},
        "merges": [[left, right] for _, _, left, right in ranked],
    }  # fmt: skip


def around_text(before: Sequence[tuple[str, int]], after: Sequence[tuple[str, int]]) -> Json:
    """The tokens that a tokenizer puts around a text."""

    def special(name: str, kind: int) -> Json:
        return {"SpecialToken": {"id": name, "type_id": kind}}

    def text(name: str, kind: int) -> Json:
        return {"Sequence": {"id": name, "type_id": kind}}

    single = [special(name, 0) for name, _ in before] + [text("A", 0)]
    single += [special(name, 0) for name, _ in after]
    return {
        "type": "TemplateProcessing", "single": single, "pair": [*single, text("B", 1)],
        "special_tokens": {
            name: {"id": name, "ids": [i], "tokens": [name]} for name, i in (*before, *after)
        },
    }  # fmt: skip


def _cut_out(pieces: Sequence[str]) -> Json | None:
    if not pieces:
        return None
    pattern = "|".join(re.escape(piece) for piece in sorted(pieces, key=len, reverse=True))
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
