"""The tokenizer of a Hugging Face folder, of whatever kind it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pygpt2edge.convert.other_tokenizers import (
    SENTENCEPIECE_FILES,
    WORD_PIECES_FILE,
    read_other_tokenizer,
)
from pygpt2edge.convert.pre_tokenizers import is_gpt2s
from pygpt2edge.convert.vocabulary import Vocabulary, read_byte_level_vocabulary, read_optional

_VOCAB, _MERGES, _TOKENIZER = "vocab.json", "merges.txt", "tokenizer.json"
_OTHERS = (WORD_PIECES_FILE, *SENTENCEPIECE_FILES)


def has_hugging_face_vocabulary(folder: Path) -> bool:
    """Whether a folder has the files that read_hugging_face_vocabulary looks for."""
    return any((folder / name).is_file() for name in (_VOCAB, _TOKENIZER, *_OTHERS))


def read_hugging_face_vocabulary(folder: Path, n_vocab: int) -> Vocabulary:
    """From vocab.json and merges.txt, tokenizer.json, vocab.txt or a SentencePiece model.

    Raises FileNotFoundError when the folder has none, UnsupportedError for a kind of tokenizer that
    is not known, FormatError when the tables contradict each other, MissingDependencyError where
    the kind takes a package that is not installed.
    """
    tokenizer = read_optional(folder / _TOKENIZER)
    has_pairs = all((folder / name).is_file() for name in (_VOCAB, _MERGES))
    if tokenizer:
        is_other = not _is_gpt2s(tokenizer, read_optional(folder / "tokenizer_config.json"))
    else:
        is_other = not has_pairs and any((folder / name).is_file() for name in _OTHERS)
    if not (tokenizer or has_pairs or is_other):
        raise FileNotFoundError(
            f"{folder}: no tokenizer: expected {_VOCAB} and {_MERGES}, {_TOKENIZER}, "
            f"or {' or '.join(_OTHERS)}"
        )
    read = read_other_tokenizer if is_other else read_byte_level_vocabulary
    return replace(read(folder, n_vocab), chat_template=_chat_template(folder))


def _is_gpt2s(tokenizer: dict[str, Any], settings: dict[str, Any]) -> bool:
    """Whether a tokenizer.json does what GPT-2's tokenizer does, and no more."""
    model, cutter = tokenizer.get("model"), tokenizer.get("pre_tokenizer")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        return False
    is_plain = not any(
        model.get(name) for name in ("ignore_merges", "byte_fallback", "end_of_word_suffix",
                                     "continuing_subword_prefix")
    )  # fmt: skip
    is_named = str(settings.get("tokenizer_class") or "").startswith("GPT2")
    if is_named and isinstance(cutter, dict) and cutter.get("type") == "ByteLevel":
        cutter = cutter | {"add_prefix_space": settings.get("add_prefix_space") is True}
    is_unchanged = tokenizer.get("normalizer") is None
    return is_plain and is_unchanged and is_gpt2s(cutter) and not _adds_tokens(tokenizer)


def _adds_tokens(tokenizer: dict[str, Any]) -> bool:
    """Whether tokens are put around a text."""
    after = tokenizer.get("post_processor")
    if not isinstance(after, dict):
        return False
    parts = after.get("processors") if after.get("type") == "Sequence" else [after]
    for part in parts if isinstance(parts, list) else ():
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("RobertaProcessing", "BertProcessing"):
            return True
        if kind == "TemplateProcessing" and len(part.get("single") or ()) != 1:
            return True
    return False


def _chat_template(folder: Path) -> str | None:
    """From chat_template.jinja or tokenizer_config.json; of several named ones the default."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    found = read_optional(folder / "tokenizer_config.json").get("chat_template")
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, dict) and entry.get("name") == "default":
            found = entry.get("template")
    return found if isinstance(found, str) and found else None
