"""The tokenizer's tables as a GGUF carries them, from a checkpoint's tokenizer files.

A GPT-2 vocabulary is byte-level BPE: every token is a string over 256 printable characters that
stand for the 256 bytes, and the merges say, in order of priority, which two tokens make a third.
Added tokens are plain text outside that scheme: special ones (`<|endoftext|>`) become GGUF's
control tokens, others its user-defined ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pygpt2edge.errors import FormatError, UnsupportedError
from pygpt2edge.json_file import read_json

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
END_OF_TEXT = "<|endoftext|>"

_HF_VOCAB, _HF_MERGES, _HF_TOKENIZER = "vocab.json", "merges.txt", "tokenizer.json"
_OPENAI_VOCAB, _OPENAI_MERGES = "encoder.json", "vocab.bpe"


@dataclass(frozen=True)
class AddedToken:
    text: str
    is_special: bool


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF carries of a tokenizer.

    Attributes:
      tokens, types: by id.
      merges: "a b" in order of priority.
      warnings: what a file cannot say.
      chat_template: how a chat becomes a prompt, where the model was made for chats.
      model: llama.cpp's name for the kind of tokenizer.
      keys: further keys of the file, all of which begin with "tokenizer.".
    """

    tokens: list[str]
    types: list[int]
    merges: list[str]
    warnings: tuple[str, ...] = ()
    chat_template: str | None = None
    model: str = "gpt2"
    keys: dict[str, Any] = field(default_factory=dict)

    def id_of(self, text: str) -> int | None:
        return self.tokens.index(text) if text in self.tokens else None


def read_byte_level_vocabulary(folder: Path, n_vocab: int) -> Vocabulary:
    """From vocab.json + merges.txt, or from tokenizer.json where those are absent.

    Raises UnsupportedError for a tokenizer that is not byte-level BPE, FormatError when the tables
    contradict each other.
    """
    tokenizer = read_optional(folder / _HF_TOKENIZER)
    if (folder / _HF_VOCAB).is_file() and (folder / _HF_MERGES).is_file():
        path = folder / _HF_VOCAB
        vocab, merges = read_json(path), _read_merges(folder / _HF_MERGES)
    else:
        path = folder / _HF_TOKENIZER
        model = tokenizer["model"]
        vocab, merges = model.get("vocab"), _json_merges(path, model.get("merges"))
    special = {END_OF_TEXT, *texts_in(read_optional(folder / "special_tokens_map.json"))}
    added = _added_tokens(folder, tokenizer, special)
    return _assemble(path, _Tables(vocab, merges, added, special), n_vocab)


def read_openai_vocabulary(folder: Path, n_vocab: int) -> Vocabulary:
    """From encoder.json + vocab.bpe."""
    path = folder / _OPENAI_VOCAB
    for needed in (path, folder / _OPENAI_MERGES):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed}: missing; an OpenAI checkpoint has it")
    merges = _read_merges(folder / _OPENAI_MERGES)
    tables = _Tables(read_json(path), merges, {}, {END_OF_TEXT})
    return _assemble(path, tables, n_vocab)


@dataclass(frozen=True)
class _Tables:
    """What the files say, before it is checked."""

    vocab: object
    merges: list[str]
    added: dict[int, AddedToken]
    special: set[str]  # texts that are control tokens wherever they are listed


def _assemble(path: Path, tables: _Tables, n_vocab: int) -> Vocabulary:
    """The tables, one entry for each row of the embedding, checked against each other."""
    by_id = _invert(path, tables.vocab)
    added = tables.added
    for token_id, token in added.items():
        if by_id.get(token_id, token.text) != token.text:
            raise FormatError(
                f"{path}: id {token_id} is {by_id[token_id]!r}, but an added token "
                f"{token.text!r} claims it"
            )
    dropped = sorted(i for i in by_id.keys() | added.keys() if i >= n_vocab)
    if any(i in by_id and i not in added for i in dropped):
        raise FormatError(
            f"{path}: token ids go up to {dropped[-1]}, but the embedding has {n_vocab} rows"
        )
    warnings = [left_out([added[i].text for i in dropped], n_vocab)] if dropped else []

    tokens, types = [], []
    for i in range(n_vocab):
        if i in added:
            tokens.append(added[i].text)
            types.append(CONTROL if added[i].is_special else USER_DEFINED)
        elif i in by_id:
            tokens.append(by_id[i])
            types.append(CONTROL if by_id[i] in tables.special else NORMAL)
        else:
            tokens.append(f"[PAD{i}]")
            types.append(UNUSED)
    _check_bytes(path, tokens, types)
    _check_merges(path, set(tokens), tables.merges)
    return Vocabulary(tokens, types, tables.merges, tuple(warnings))


def left_out(texts: list[str], n_vocab: int) -> str:
    """The warning for added tokens that a model cannot compute."""
    names = ", ".join(map(repr, texts[:5]))
    return f"left out {len(texts)} added tokens beyond the embedding's {n_vocab} rows: {names}"


def _invert(path: Path, vocab: object) -> dict[int, str]:
    if not isinstance(vocab, dict):
        raise FormatError(f"{path}: has no vocabulary, expected an object of token: id")
    by_id: dict[int, str] = {}
    for token, token_id in vocab.items():
        if type(token_id) is not int or token_id < 0:
            raise FormatError(f"{path}: id of {token!r:.60} is {token_id!r:.60}, not a number")
        if token_id in by_id:
            raise FormatError(
                f"{path}: {token!r:.60} and {by_id[token_id]!r:.60} both have id {token_id}"
            )
        by_id[token_id] = token
    return by_id


def _check_bytes(path: Path, tokens: list[str], types: list[int]) -> None:
    """Normal tokens must spell bytes, and every byte must have a token: then any text can be read
    and written."""
    alphabet = byte_alphabet()
    normal = {token for token, kind in zip(tokens, types, strict=True) if kind == NORMAL}
    for token in normal:
        if not token or not alphabet.issuperset(token):
            raise UnsupportedError(
                f"{path}: token {token!r:.60} is not in GPT-2's byte alphabet; only byte-level "
                "BPE tokenizers can be converted"
            )
    if missing := sorted(alphabet - normal):
        raise UnsupportedError(
            f"{path}: {len(missing)} of the 256 byte tokens are missing, {missing[0]!r} for one; "
            "only byte-level BPE tokenizers can be converted"
        )


def _check_merges(path: Path, tokens: set[str], merges: list[str]) -> None:
    for rank, merge in enumerate(merges):
        left, _, right = merge.partition(" ")
        if not (left in tokens and right in tokens and left + right in tokens):
            raise FormatError(
                f"{path}: merge {rank} {merge!r:.80} uses or makes a token that the vocabulary "
                "lacks; the files do not belong together"
            )


def byte_alphabet() -> frozenset[str]:
    """GPT-2's characters for bytes: printable Latin-1 as itself, the other 68 from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return frozenset(map(chr, printable)) | {chr(0x100 + i) for i in range(256 - len(printable))}


def _read_merges(path: Path) -> list[str]:
    """Lines of "a b", after a first line that may give a version."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 ({error}); download the file again") from error
    start = 1 if lines[0].startswith("#version") else 0
    merges = [line.rstrip("\r") for line in lines[start:]]
    for number, line in enumerate(merges, start + 1):
        if line and (line.count(" ") != 1 or line[0] == " " or line[-1] == " "):
            raise FormatError(f"{path}: line {number} is {line!r:.80}, expected two tokens")
    return [line for line in merges if line]


def _json_merges(path: Path, merges: object) -> list[str]:
    """tokenizer.json's merges: "a b" in older files, ["a", "b"] in newer ones."""
    result = []
    for merge in merges if isinstance(merges, list) else []:
        parts = merge.split(" ") if isinstance(merge, str) else merge
        match parts:
            case [str(left), str(right)] if left and right:
                result.append(f"{left} {right}")
            case _:
                raise FormatError(f"{path}: merge {merge!r:.80}, expected two tokens")
    return result


def _added_tokens(
    folder: Path, tokenizer: dict[str, Any], special: set[str]
) -> dict[int, AddedToken]:
    """From every file that may list them: added_tokens.json (text: id), tokenizer_config.json and
    tokenizer.json (id, text and whether it is special)."""
    settings = read_optional(folder / "tokenizer_config.json")
    added: dict[int, AddedToken] = {}

    def add(token_id: object, text: object, *, is_special: object) -> None:
        if type(token_id) is int and token_id >= 0 and isinstance(text, str) and text:
            added[token_id] = AddedToken(text, is_special is True or text in special)

    for text, token_id in read_optional(folder / "added_tokens.json").items():
        add(token_id, text, is_special=False)
    decoder = settings.get("added_tokens_decoder")
    for key, entry in decoder.items() if isinstance(decoder, dict) else ():
        if is_token_id(key) and isinstance(entry, dict):
            add(int(key), entry.get("content"), is_special=entry.get("special"))
    for entry in tokenizer.get("added_tokens") or ():
        if isinstance(entry, dict):
            add(entry.get("id"), entry.get("content"), is_special=entry.get("special"))
    return added


def is_token_id(text: str) -> bool:
    """Whether a key of JSON is a number that could be a token's."""
    return text.isdecimal() and len(text) <= 10


def texts_in(value: object) -> Iterator[str]:
    """All token texts of a special_tokens_map: strings, {"content": ...}, or lists of them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and "content" in value:
        yield from texts_in(value["content"])
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts_in(item)


def read_optional(path: Path) -> dict[str, Any]:
    """The object in a JSON file, an empty one where there is no file."""
    return read_json(path) if path.is_file() else {}
