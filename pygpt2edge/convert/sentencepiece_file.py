"""SentencePiece's models (spiece.model, tokenizer.model) as a tokenizer.json.

The sentencepiece package reads the file. What encodes is the tokenizers package, and it does what
SentencePiece does: it normalizes, puts a space before the text, and looks for pieces. T5Tokenizer
of transformers does it a little differently, word by word, and puts "</s>" behind a text.
Source: sentencepiece_model.proto of github.com/google/sentencepiece.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pygpt2edge.errors import FormatError, MissingDependencyError, UnsupportedError
from pygpt2edge.tokenizer.json_parts import (
    BYTE,
    CONTROL,
    SPACE,
    USER_DEFINED,
    Json,
    added_token,
    around_text,
    pair_model,
    replaced,
    sentence_pieces,
    unigram_model,
)

_UNIGRAM, _PAIRS = 1, 2  # its numbers for kinds of models
_T5 = "T5Tokenizer"
# Classes that do nothing to a text but what the model's file says.
_PLAIN = ("", "LlamaTokenizer", "ReformerTokenizer", "PreTrainedTokenizer", "TokenizersBackend",
          "SentencePieceBackend")  # fmt: skip
_SWEDISH = "GPTSw3Tokenizer"
# What that class takes out of a text, and what it takes for a space; then it composes characters.
_NOT_PRINTED = "[\x01-\x08\x0b-\x1f\x7f-\x9f\xa0\xad\u200b]|\x00"
_BLANKS = "[\u2002\u2003\u2005\u2008\u2009\u200a\u202f\u3000\ufffc]"
_EXTRA_IDS = 100  # T5Tokenizer's default


def read_sentencepiece(
    path: Path, tokenizer_class: str, settings: dict[str, Any]
) -> tuple[Json, Json]:
    """A tokenizer.json, and the keys of a GGUF beside it.

    Raises MissingDependencyError where sentencepiece is not installed, UnsupportedError for a class
    of transformers that does more than the file says, FormatError for a damaged file.
    """
    if tokenizer_class not in (_T5, _SWEDISH, *_PLAIN):
        raise UnsupportedError(
            f"{path}: tokenizer_class is {tokenizer_class!r:.60}, expected one of {_T5}, "
            f"{_SWEDISH}, {', '.join(_PLAIN[1:])}; save the tokenizer with a tokenizer.json, if "
            "transformers can"
        )
    file = _read(path)
    pieces = [piece.piece for piece in file.pieces]
    scores = [float(piece.score) for piece in file.pieces]
    types = [int(piece.type) for piece in file.pieces]
    normalizing = file.normalizer_spec
    charsmap = bytes(normalizing.precompiled_charsmap)
    if tokenizer_class == _T5:
        _add_extra_ids(pieces, scores, types, settings)
    described = sentence_pieces(
        _model(path, file, pieces, scores, types),
        charsmap=charsmap,
        add_space_prefix=normalizing.add_dummy_prefix,
        remove_extra_whitespaces=normalizing.remove_extra_whitespaces,
        whole=[piece for piece, kind in zip(pieces, types, strict=True) if kind == USER_DEFINED],
    )
    described["added_tokens"] = [
        added_token(i, piece, special=True)
        for i, (piece, kind) in enumerate(zip(pieces, types, strict=True))
        if kind == CONTROL
    ]
    described["post_processor"] = None
    if tokenizer_class == _T5:
        _as_t5(path, described, pieces)
    before: list[Json] = []
    if tokenizer_class == _SWEDISH:
        before = [replaced(_NOT_PRINTED, ""), replaced(_BLANKS, " "), {"type": "NFC"}]
        if normalizing.remove_extra_whitespaces:  # SentencePiece itself takes its sign for a space
            before.append(replaced(rf"[ {SPACE}]+\z", ""))
    elif settings.get("do_lower_case") is True:
        before = [{"type": "Lowercase"}]
    described["normalizer"]["normalizers"][:0] = before
    keys: Json = {
        "tokenizer.ggml.add_space_prefix": bool(normalizing.add_dummy_prefix),
        "tokenizer.ggml.remove_extra_whitespaces": bool(normalizing.remove_extra_whitespaces),
    }
    if charsmap:
        keys["tokenizer.ggml.precompiled_charsmap"] = charsmap
    return described, keys


def _read(path: Path) -> Any:
    try:
        from google.protobuf.message import DecodeError
        from sentencepiece import sentencepiece_model_pb2 as messages
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: a SentencePiece model takes the sentencepiece and protobuf packages: "
            'pip install "pygpt2edge[tokenizers]"'
        ) from error
    file: Any = messages.ModelProto()  # type: ignore[attr-defined]  # made when it is imported
    try:
        file.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise FormatError(f"{path}: no SentencePiece model ({error}); download it again") from None
    if not file.pieces:
        raise FormatError(f"{path}: has no pieces, expected a SentencePiece model")
    damaged = [i for i, piece in enumerate(file.pieces) if not isinstance(piece.piece, str)]
    if damaged:
        raise FormatError(f"{path}: piece {damaged[0]} is not UTF-8; download the file again")
    return file


def _model(path: Path, file: Any, pieces: list[str], scores: list[float], types: list[int]) -> Json:
    kind, unknown = file.trainer_spec.model_type, file.trainer_spec.unk_id
    if kind not in (_UNIGRAM, _PAIRS):
        raise UnsupportedError(
            f"{path}: its model_type is {kind}, expected {_UNIGRAM} (unigram) or {_PAIRS} (BPE)"
        )
    if not 0 <= unknown < len(pieces):
        raise FormatError(f"{path}: unk_id is {unknown}, but there are {len(pieces)} pieces")
    byte_fallback = BYTE in types
    if kind == _UNIGRAM:
        return unigram_model(pieces, scores, unknown, byte_fallback=byte_fallback)
    return pair_model(
        pieces, scores, types, pieces[unknown], byte_fallback=byte_fallback, source=str(path)
    )


def _add_extra_ids(
    pieces: list[str], scores: list[float], types: list[int], settings: dict[str, Any]
) -> None:
    n = settings.get("extra_ids", _EXTRA_IDS)
    for i in reversed(range(n if type(n) is int and 0 < n < 10_000 else 0)):
        pieces.append(f"<extra_id_{i}>")
        scores.append(0.0)
        types.append(CONTROL)


def _as_t5(path: Path, described: Json, pieces: list[str]) -> None:
    """Words are told apart before pieces are looked for in each, and "</s>" ends a text."""
    if "</s>" not in pieces:
        raise FormatError(f"{path}: has no piece '</s>', which T5Tokenizer puts behind a text")
    normalizers = described["normalizer"]["normalizers"]
    kept = [each for each in normalizers if each["type"] == "Precompiled"]
    space = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
    described["normalizer"]["normalizers"] = kept
    described["pre_tokenizer"] = {
        "type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, space]
    }  # fmt: skip
    described["decoder"] = space
    described["post_processor"] = around_text([], [("</s>", pieces.index("</s>"))])
