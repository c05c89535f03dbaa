"""The tokenizer of a GGUF file."""

from __future__ import annotations

from pygpt2edge import _core
from pygpt2edge.tokenizer.tokenizer import Tokenizer

HUGGING_FACE_KEY = "tokenizer.huggingface.json"


def read_tokenizer(file: _core.GgufFile) -> Tokenizer:
    """Raises FormatError for tables that contradict themselves, UnsupportedError for a kind of
    tokenizer that is not known."""
    tables = _core.tokenizer_tables(file)
    if not tables.other_rule:
        return Tokenizer(tables)
    described = file.value(HUGGING_FACE_KEY)
    if not isinstance(described, str):
        from pygpt2edge.tokenizer.described import description_of  # so late: few files need it

        described = description_of(file)
    return Tokenizer(tables, described)
