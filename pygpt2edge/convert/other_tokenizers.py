"""Tokenizers of other kinds than GPT-2's, as a GGUF carries them.

Each becomes one description, a tokenizer.json, which the tokenizers package encodes by: the
checkpoint's own, or one made of a vocab.txt or of a SentencePiece model. The file carries it
whole. Beside it stand the keys that llama.cpp's converter writes for such a tokenizer.
Sources: the converter of llama.cpp; the classes of github.com/huggingface/transformers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pygpt2edge.convert.pre_tokenizers import llama_cpp_name
from pygpt2edge.convert.sentencepiece_file import read_sentencepiece
from pygpt2edge.convert.vocabulary import (
    Vocabulary,
    is_token_id,
    left_out,
    read_optional,
    texts_in,
)
from pygpt2edge.errors import FormatError, UnsupportedError
from pygpt2edge.json_file import read_json
from pygpt2edge.tokenizer import HUGGING_FACE_KEY
from pygpt2edge.tokenizer.json_parts import (
    BYTE,
    CONTROL,
    NORMAL,
    SPACE,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    Json,
    around_text,
    word_pieces,
)
from pygpt2edge.tokenizer.library_encoder import library_tokenizer, of_the_file

if TYPE_CHECKING:
    from tokenizers import Tokenizer as LibraryTokenizer
    from typing_extensions import TypeIs

SENTENCEPIECE_FILES = ("spiece.model", "tokenizer.model", "sentencepiece.bpe.model")
WORD_PIECES_FILE = "vocab.txt"
_TOKENIZER = "tokenizer.json"
_CLASS = "tokenizer_class"

# The names that transformers gives special tokens -> what GGUF calls the key of their ids
_SPECIAL_NAMES = {
    "bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "sep_token": "seperator",
    "pad_token": "padding", "cls_token": "cls", "mask_token": "mask",
}  # fmt: skip
_MORE_SPECIAL = ("additional_special_tokens", "extra_special_tokens")
# What classes of transformers take where the settings name no token.
_DEFAULTS = {
    "BertTokenizer": {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]",
                      "cls_token": "[CLS]", "mask_token": "[MASK]"},
    "T5Tokenizer": {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
    "GPTSw3Tokenizer": {"bos_token": "<s>", "eos_token": "<|endoftext|>", "unk_token": "<unk>",
                        "pad_token": "<pad>"},
}  # fmt: skip


@dataclass(frozen=True)
class _Folder:
    """A checkpoint's folder, and what its tokenizer_config.json and special_tokens_map.json say."""

    path: Path
    settings: dict[str, Any]

    @property
    def tokenizer_class(self) -> str:
        return str(self.settings[_CLASS])

    def texts(self, name: str) -> list[str]:
        """The texts of a kind of special tokens."""
        return list(texts_in(self.settings.get(name)))


def read_other_tokenizer(path: Path, n_vocab: int) -> Vocabulary:
    """The vocabulary of a folder whose tokenizer.json, vocab.txt or spiece.model is no tokenizer of
    GPT-2's kind.

    Raises MissingDependencyError where a package is not installed that reads it, UnsupportedError
    for a kind that is not known, FormatError for a damaged one.
    """
    folder = _Folder(path, _settings(path))
    keys: Json = {}
    if (path / _TOKENIZER).is_file():
        source = path / _TOKENIZER
        described = read_json(source)
        _follow_settings(described, folder)
    elif (path / WORD_PIECES_FILE).is_file():
        source = path / WORD_PIECES_FILE
        described = _read_word_pieces(source, folder)
    else:
        source = next(path / name for name in SENTENCEPIECE_FILES if (path / name).is_file())
        described, keys = read_sentencepiece(source, folder.tokenizer_class, folder.settings)
    described |= {"version": "1.0", "truncation": None, "padding": None}
    library = library_tokenizer(json.dumps(described), str(source))
    with of_the_file(str(source)):
        _add_tokens(library, folder)
        described = json.loads(library.to_str())
    warnings = _cut(described, source, n_vocab)
    kind = _kind(described, source)
    with of_the_file(str(source)):
        keys = _special_ids(described, folder) | _around(library, kind) | keys
    return _vocabulary(described, kind, keys, n_vocab, warnings)


def _settings(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        found |= read_optional(folder / name)
    named = found.get("tokenizer_class") or read_optional(folder / "config.json").get(
        "tokenizer_class"
    )
    kind = str(named or "").removesuffix("Fast")
    is_bert = not kind and (folder / WORD_PIECES_FILE).is_file()
    return _DEFAULTS.get("BertTokenizer" if is_bert else kind, {}) | found | {_CLASS: kind}


def _follow_settings(described: Json, folder: _Folder) -> None:
    """What transformers' classes take from tokenizer_config.json, whatever tokenizer.json says."""
    kind, settings = folder.tokenizer_class, folder.settings
    normalizer, cutter = described.get("normalizer"), described.get("pre_tokenizer")
    if kind == "BertTokenizer" and _is_type(normalizer, "BertNormalizer"):
        described["normalizer"] = normalizer | _bert_settings(settings)
    if kind == "GPT2Tokenizer" and _is_type(cutter, "ByteLevel"):
        has_space = settings.get("add_prefix_space") is True
        described["pre_tokenizer"] = cutter | {"add_prefix_space": has_space}


def _is_type(part: object, name: str) -> TypeIs[Json]:
    return isinstance(part, dict) and part.get("type") == name


def _bert_settings(settings: dict[str, Any]) -> Json:
    return {
        "lowercase": settings.get("do_lower_case", True) is not False,
        "strip_accents": settings.get("strip_accents"),
        "handle_chinese_chars": settings.get("tokenize_chinese_chars", True) is not False,
    }


def _read_word_pieces(path: Path, folder: _Folder) -> Json:
    """BERT's vocab.txt: a piece a line, its id the line's number."""
    if folder.tokenizer_class not in ("", "BertTokenizer", "PreTrainedTokenizer"):
        raise UnsupportedError(
            f"{path}: tokenizer_class is {folder.tokenizer_class!r:.60}, expected BertTokenizer; "
            f"save the tokenizer with a {_TOKENIZER}, if transformers can"
        )
    try:
        pieces = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 ({error}); download the file again") from error
    if pieces[-1] == "":
        del pieces[-1]
    ids = {piece: i for i, piece in enumerate(pieces)}
    named = {name: "".join(folder.texts(name)[:1]) for name in _DEFAULTS["BertTokenizer"]}
    for name in ("unk_token", "cls_token", "sep_token"):
        if named[name] not in ids:
            raise FormatError(f"{path}: has no {named[name]!r}, the {name} of this tokenizer")
    described = word_pieces(pieces, named["unk_token"], **_bert_settings(folder.settings))
    before, after = ([(named[name], ids[named[name]])] for name in ("cls_token", "sep_token"))
    described["post_processor"] = around_text(before, after)
    described["added_tokens"] = []
    return described


def _add_tokens(library: LibraryTokenizer, folder: _Folder) -> None:
    """Those that the settings name beside the vocabulary; what it lacks gets the next ids."""
    from tokenizers import AddedToken

    known = {token.content for token in library.get_added_tokens_decoder().values()}
    flags = ("special", "normalized", "lstrip", "rstrip", "single_word")
    listed = _listed(folder)
    library.add_tokens(
        [
            AddedToken(text, **{name: entry.get(name) is True for name in flags})
            for text, entry in listed.items()
            if text not in known
        ]
    )
    names = (*_SPECIAL_NAMES, *_MORE_SPECIAL)
    texts = dict.fromkeys(text for name in names for text in folder.texts(name) if text)
    library.add_special_tokens(
        [
            AddedToken(text, special=True, normalized=False)
            for text in texts
            if text not in known | listed.keys()
        ]
    )


def _listed(folder: _Folder) -> Json:
    """The added tokens of tokenizer_config.json and added_tokens.json by their texts, in the order
    of their ids."""
    found: dict[int, tuple[str, Json]] = {}
    for text, token in read_optional(folder.path / "added_tokens.json").items():
        if type(token) is int:
            found[token] = text, {}
    entries = folder.settings.get("added_tokens_decoder")
    for key, entry in entries.items() if isinstance(entries, dict) else ():
        content = entry.get("content") if isinstance(entry, dict) else None
        if is_token_id(key) and isinstance(content, str) and content:
            found[int(key)] = content, entry
    return {text: entry for _, (text, entry) in sorted(found.items(), key=lambda item: item[0])}


def _cut(described: Json, source: Path, n_vocab: int) -> tuple[str, ...]:
    """Leaves out added tokens that the embedding has no row for. Returns warnings."""
    pieces = _pieces(described)
    if pieces and max(pieces) >= n_vocab:
        raise FormatError(
            f"{source}: token ids go up to {max(pieces)}, but the embedding has {n_vocab} rows"
        )
    added = described["added_tokens"]
    beyond = [token["content"] for token in added if token["id"] >= n_vocab]
    described["added_tokens"] = [token for token in added if token["id"] < n_vocab]
    return (left_out(beyond, n_vocab),) if beyond else ()


def _pieces(described: Json) -> dict[int, str]:
    """The model's own tokens, by id."""
    vocab = described["model"].get("vocab")
    if isinstance(vocab, dict):
        return {i: piece for piece, i in vocab.items()}
    return {i: piece for i, (piece, _) in enumerate(vocab or ())}


def _vocabulary(
    described: Json, kind: str, keys: Json, n_vocab: int, warnings: tuple[str, ...]
) -> Vocabulary:
    added = {token["id"]: token for token in described["added_tokens"]}
    texts = _all_texts(described)
    unknown = _unknown(described)
    tokens, types = [], []
    for i in range(n_vocab):
        text = texts.get(i)
        if text is None:
            tokens.append(f"[PAD{i}]")
            types.append(UNUSED)
            continue
        tokens.append(_spelled(text) if kind == "bert" else text)
        types.append(_type(i, text, unknown, added, is_byte_known=kind in ("t5", "llama")))
    merges: list[str] = []
    if kind == "gpt2":
        merges = [
            merge if isinstance(merge, str) else " ".join(merge)
            for merge in described["model"].get("merges") or ()
        ]
        keys["tokenizer.ggml.pre"], more = llama_cpp_name(described)
        warnings += more
    elif kind in ("t5", "llama"):
        keys["tokenizer.ggml.pre"] = "default"
        keys["tokenizer.ggml.scores"] = _scores(described, tokens)
    warnings += tuple(_differences(described, kind, types))
    keys[HUGGING_FACE_KEY] = json.dumps(described, ensure_ascii=False, separators=(",", ":"))
    return Vocabulary(tokens, types, merges, warnings, model=kind, keys=keys)


def _differences(described: Json, kind: str, types: list[int]) -> Iterator[str]:
    """What llama.cpp does to a text otherwise."""
    normalizer = described.get("normalizer") or {}
    parts = normalizer.get("normalizers", [normalizer])
    makes_small = any(
        part.get("type") == "Lowercase" or part.get("lowercase") is True for part in parts
    )
    if kind == "bert" and not makes_small:
        yield "llama.cpp makes small letters of capitals, which this tokenizer does not"
    if kind in ("t5", "llama") and makes_small:
        yield "llama.cpp keeps capitals, of which this tokenizer makes small letters"
    if kind == "t5" and BYTE in types:
        yield "llama.cpp takes one unknown token where this tokenizer takes tokens of bytes"


def _kind(described: Json, source: Path) -> str:
    """llama.cpp's name for the kind of tokenizer, by which tokens become a text again."""
    model, decoder = described["model"]["type"], described.get("decoder") or {}
    parts = decoder.get("decoders", [decoder])
    names = {part.get("type") for part in parts}
    is_spaced = any(part.get("pattern") == {"String": SPACE} for part in parts)
    if model == "WordPiece" and names == {"WordPiece"} and decoder.get("prefix") == "##":
        return "bert"
    if model == "BPE" and names == {"ByteLevel"}:
        return "gpt2"
    if model in ("BPE", "Unigram") and (names == {"Metaspace"} or is_spaced):
        return "t5" if model == "Unigram" else "llama"
    raise UnsupportedError(
        f"{source}: the tokenizer is {model!r:.40} with the decoder "
        f"{' and '.join(map(repr, sorted(map(str, names))))!s:.80}, expected byte-level BPE, "
        "WordPiece or SentencePiece"
    )


def _spelled(piece: str) -> str:
    """As llama.cpp writes word pieces: marked where a word begins."""
    is_name = len(piece) > 1 and piece.startswith("[") and piece.endswith("]")
    if is_name:
        return piece
    return piece.removeprefix("##") if piece.startswith("##") else SPACE + piece


def _unknown(described: Json) -> object:
    """The id or the text of the token for what has none."""
    model = described["model"]
    return model.get("unk_id") if model["type"] == "Unigram" else model.get("unk_token")


def _type(token: int, text: str, unknown: object, added: dict[int, Json], *,
          is_byte_known: bool) -> int:  # fmt: skip
    if unknown is not None and unknown in (token, text):
        return UNKNOWN if is_byte_known else CONTROL
    if token in added:
        return CONTROL if added[token]["special"] else USER_DEFINED
    is_byte = len(text) == 6 and text.startswith("<0x") and text.endswith(">")
    return BYTE if is_byte and is_byte_known else NORMAL


def _scores(described: Json, tokens: list[str]) -> list[float]:
    """Of pieces, the better the higher; of pairs, by their order."""
    model = described["model"]
    if model["type"] == "Unigram":
        scores = [float(score) for _, score in model["vocab"]]
        return scores + [0.0] * (len(tokens) - len(scores))
    merges = model.get("merges") or ()
    order = {"".join(m.split(" ") if isinstance(m, str) else m): n for n, m in
             reversed(list(enumerate(merges)))}  # fmt: skip
    return [-float(order.get(token, len(order))) for token in tokens]


def _all_texts(described: Json) -> dict[int, str]:
    return _pieces(described) | {t["id"]: t["content"] for t in described["added_tokens"]}


def _special_ids(described: Json, folder: _Folder) -> Json:
    ids = {text: i for i, text in _all_texts(described).items()}
    unknown = _unknown(described)
    unknown = ids.get(unknown) if isinstance(unknown, str) else unknown
    found = {} if unknown is None else {"tokenizer.ggml.unknown_token_id": unknown}
    return found | {
        f"tokenizer.ggml.{key}_token_id": ids[text]
        for name, key in _SPECIAL_NAMES.items()
        for text in folder.texts(name)[:1]
        if text in ids
    }


def _around(library: LibraryTokenizer, kind: str) -> Json:
    """Which tokens stand around a text, as far as GGUF has keys for it."""
    whole, alone = (library.encode("a", add_special_tokens=flag).ids for flag in (True, False))
    n_before = next((i for i in range(len(whole)) if whole[i : i + len(alone)] == alone), 0)
    before, after = whole[:n_before], whole[n_before + len(alone) :]
    end, end_id = ("sep", "seperator") if kind == "bert" else ("eos", "eos")
    keys: Json = {
        "tokenizer.ggml.add_bos_token": bool(before),
        f"tokenizer.ggml.add_{end}_token": bool(after),
    }
    if before:
        keys["tokenizer.ggml.bos_token_id"] = before[-1]
    if after:
        keys[f"tokenizer.ggml.{end_id}_token_id"] = after[0]
    return keys
