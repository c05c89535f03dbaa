"""A tokenizer.json of what a GGUF says of its tokenizer, for files that carry none.

llama.cpp's converter writes such files. They name the kind of tokenizer, the tokens, their merges
or scores, and what SentencePiece does to a text before it looks for tokens; of BERT's tokenizers
llama.cpp knows those that make small letters of capitals.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pygpt2edge import _core
from pygpt2edge.errors import FormatError, UnsupportedError
from pygpt2edge.tokenizer.json_parts import (
    BYTE,
    CONTROL,
    SPACE,
    UNKNOWN,
    USER_DEFINED,
    Json,
    added_token,
    around_text,
    pair_model,
    sentence_pieces,
    unigram_model,
    word_pieces,
)
from pygpt2edge.tokenizer.patterns import PATTERNS, byte_level, pre_tokenizer


def description_of(file: _core.GgufFile) -> str:
    """Raises FormatError where the file lacks what its tokenizer needs, UnsupportedError for a way
    of cutting text that is not known."""
    model = file.value("tokenizer.ggml.model")
    tokens = file.strings("tokenizer.ggml.tokens")
    types = _core.tokenizer_tables(file).token_types
    added = [
        added_token(i, token, special=kind != USER_DEFINED)
        for i, (token, kind) in enumerate(zip(tokens, types, strict=True))
        if kind in (UNKNOWN, CONTROL, USER_DEFINED)
    ]
    if model == "bert":
        pieces = [_word_piece(token) for token in tokens]
        for token in added:
            token["content"] = pieces[token["id"]]
        parts = word_pieces(pieces, pieces[_id(file, "unknown", 100)])
    elif model == "gpt2":
        parts = _byte_level(file, tokens)
    else:
        parts = _sentence_pieces(file, tokens, types, is_unigram=model == "t5")
    parts["added_tokens"] = added
    parts["post_processor"] = _around(file, tokens)
    return json.dumps({"version": "1.0"} | parts, ensure_ascii=False)


def _byte_level(file: _core.GgufFile, tokens: list[str]) -> Json:
    name = file.value("tokenizer.ggml.pre")
    if name not in PATTERNS:
        raise UnsupportedError(
            f"{file.path}: tokenizer.ggml.pre is {name!r:.40}, expected one of "
            f"{', '.join(PATTERNS)}: convert the original checkpoint"
        )
    merges = file.strings("tokenizer.ggml.merges")
    return {
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer(name),
        "decoder": byte_level(is_cut=True),
        "model": {
            "type": "BPE", "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in merges], "ignore_merges": name == "llama-bpe",
        },
    }  # fmt: skip


def _word_piece(token: str) -> str:
    """As BERT's vocabularies spell it; llama.cpp marks what begins a word, they what does not."""
    if token.startswith(SPACE):
        return token.removeprefix(SPACE)
    is_name = len(token) > 1 and token.startswith("[") and token.endswith("]")
    return token if is_name else f"##{token}"


def _sentence_pieces(
    file: _core.GgufFile, tokens: list[str], types: Sequence[int], *, is_unigram: bool
) -> Json:
    scores = file.value("tokenizer.ggml.scores")
    if not isinstance(scores, list) or len(scores) != len(tokens):
        raise FormatError(
            f"{file.path}: tokenizer.ggml.scores is missing or not one for each of the "
            f"{len(tokens)} tokens: convert the model again"
        )
    scores = [float(score) for score in scores]
    unknown = types.index(UNKNOWN) if UNKNOWN in types else _id(file, "unknown", 0)
    byte_fallback = BYTE in types
    model = (
        unigram_model(tokens, scores, unknown, byte_fallback=byte_fallback)
        if is_unigram
        else pair_model(
            tokens, scores, types, tokens[unknown], byte_fallback=byte_fallback, source=file.path
        )
    )
    return sentence_pieces(
        model,
        charsmap=_charsmap(file),
        add_space_prefix=file.value("tokenizer.ggml.add_space_prefix") is not False,
        remove_extra_whitespaces=bool(file.value("tokenizer.ggml.remove_extra_whitespaces")),
        whole=[token for token, kind in zip(tokens, types, strict=True) if kind == USER_DEFINED],
    )


def _charsmap(file: _core.GgufFile) -> bytes:
    key = "tokenizer.ggml.precompiled_charsmap"
    value = file.value(key)
    if value is None:
        return b""
    try:
        return b"".join(number.to_bytes(1, "little") for number in value)
    except (TypeError, AttributeError, OverflowError):
        raise FormatError(f"{file.path}: {key} is not bytes: convert the model again") from None


def _around(file: _core.GgufFile, tokens: Sequence[str]) -> Json | None:
    """What llama.cpp puts around a text of this kind, unless the file says otherwise."""
    model = file.value("tokenizer.ggml.model")
    kind = file.value("tokenizer.ggml.pre") if model == "gpt2" else model
    usual = {"bos": ("bert", "llama", "llama-bpe"), "sep": ("bert",), "eos": ("t5",)}
    adds = {
        name: _flag(file, f"tokenizer.ggml.add_{name}_token", kind in kinds)
        for name, kinds in usual.items()
    }
    defaults = {"bos": 101 if model == "bert" else 1, "sep": 102, "eos": 1}
    keys = {"bos": "bos", "sep": "seperator", "eos": "eos"}
    used = {name: _id(file, keys[name], defaults[name]) for name, is_added in adds.items()
            if is_added}  # fmt: skip
    named = {
        name: (_word_piece(tokens[i]) if model == "bert" else tokens[i], i)
        for name, i in used.items()
    }
    before = [named[name] for name in ("bos",) if name in named]
    after = [named[name] for name in ("sep", "eos") if name in named]
    return around_text(before, after) if named else None


def _flag(file: _core.GgufFile, key: str, otherwise: bool) -> bool:
    value = file.value(key)
    return value if isinstance(value, bool) else otherwise


def _id(file: _core.GgufFile, name: str, otherwise: int) -> int:
    key = f"tokenizer.ggml.{name}_token_id"
    value, n_tokens = file.value(key), file.n_array("tokenizer.ggml.tokens")
    found = otherwise if value is None else value
    if type(found) is not int or not 0 <= found < n_tokens:
        raise FormatError(
            f"{file.path}: {key} is {found!r:.40}, but there are {n_tokens} tokens: convert the "
            "model again"
        )
    return found
