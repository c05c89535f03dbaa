"""A GGUF file as a source."""

from __future__ import annotations

from pathlib import Path

from pygpt2edge.convert.checkpoint import (
    Checkpoint,
    StoredEntry,
    check_layers,
    checked,
    without_tied_output,
)
from pygpt2edge.convert.classifier import head_of_gguf
from pygpt2edge.convert.gguf_reader import read_gguf
from pygpt2edge.convert.gpt2_names import TensorSpec, needed_tensors
from pygpt2edge.convert.model_config import read_gguf_config
from pygpt2edge.convert.stored_tensor import RowSource
from pygpt2edge.errors import FormatError, UnsupportedError


def open_gguf(path: Path) -> Checkpoint:
    """Opens a file of any types, quantized ones too."""
    contents = read_gguf(path)
    embedding = contents.tensors.get("token_embd.weight")
    n_vocab = embedding.shape[0] if embedding and len(embedding.shape) == 2 else 0
    config = read_gguf_config(path, contents.metadata, n_vocab)
    n_tokens = len(contents.vocabulary.tokens)
    if n_tokens != n_vocab:
        raise FormatError(f"{path}: has {n_tokens} tokens for the {n_vocab} rows of token_embd")
    check_layers(path, config, len(contents.tensors))
    specs = needed_tensors(config, has_output="output.weight" in contents.tensors)
    shapes = {name: tensor.shape for name, tensor in contents.tensors.items()}
    found = head_of_gguf(contents.metadata, contents.labels, config, shapes)
    classifier, head = found or (None, [])
    specs += head
    bound: list[tuple[TensorSpec, RowSource]] = []
    for spec in specs:
        tensor = contents.tensors.get(spec.gguf_name)
        bound.append((spec, checked(path, spec.gguf_name, tensor, spec.shape)))
    if extra := sorted(contents.tensors.keys() - {spec.gguf_name for spec in specs}):
        raise UnsupportedError(f"{path}: tensor {extra[0]!r:.80} is no part of a GPT-2")
    return Checkpoint(
        kind="GGUF",
        path=path,
        config=config,
        entries=[
            StoredEntry(t.name, t.dtype, t.shape, t.n_bytes) for t in contents.tensors.values()
        ],
        tensors=without_tied_output(bound),
        read_vocabulary=lambda: contents.vocabulary,
        quantized_types=contents.quantized_types,
        carried_metadata=contents.carried_metadata,
        classifier=classifier,
    )  # fmt: skip
