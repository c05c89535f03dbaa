"""The vocabulary of GPT-2 itself, for checkpoints that come without one."""

from __future__ import annotations

from pathlib import Path

from pygpt2edge.convert.gguf_reader import read_gguf
from pygpt2edge.convert.tokenizer_files import (
    has_hugging_face_vocabulary,
    read_hugging_face_vocabulary,
)
from pygpt2edge.convert.vocabulary import Vocabulary
from pygpt2edge.errors import UnsupportedError
from pygpt2edge.loaded_model import demo_model_path

N_TOKENS = 50257
_MOST_PADDING = 512  # rows, up to a multiple that suits a GPU


def rows_without_padding(path: Path, n_rows: int) -> int:
    """How many rows of an embedding are tokens, where its tokenizer is GPT-2's own."""
    is_padded = N_TOKENS < n_rows < N_TOKENS + _MOST_PADDING
    return N_TOKENS if is_padded and not has_hugging_face_vocabulary(path.parent) else n_rows


def vocabulary_beside(path: Path, n_vocab: int) -> Vocabulary:
    """From the tokenizer's files in the folder of a file of weights, else GPT-2's own.

    Raises UnsupportedError where there are no such files and the model has other tokens.
    """
    if has_hugging_face_vocabulary(path.parent):
        return read_hugging_face_vocabulary(path.parent, n_vocab)
    if n_vocab != N_TOKENS:
        raise UnsupportedError(
            f"{path}: a vocabulary of {n_vocab} tokens, and GPT-2's has {N_TOKENS}; put the files "
            "of its tokenizer (vocab.json and merges.txt, tokenizer.json, vocab.txt or a "
            "SentencePiece model) beside it. Single characters are no tokenizer that is known"
        )
    return read_gguf(demo_model_path()).vocabulary  # which is the official one
