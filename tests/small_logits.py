"""Logits of small models, and files of the numbers that others stand for."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray
from tiny_models import TinyModel, draw_weights, write_gguf

from pygpt2edge import _core


def logits_of(path: Path, tokens: NDArray[np.int32], kv_type: str = "f32") -> NDArray[np.float32]:
    return _core.Session(_core.Model(str(path), 2), 0, kv_type).append_all_logits(tokens)


def dequantized_copy(path: Path, copy: Path, model: TinyModel) -> Path:
    """An f32 file of the numbers that a quantized one stands for."""
    weights = draw_weights(model)
    file = _core.GgufFile(str(path))
    names = {tensor.name: tensor.shape for tensor in file.tensors}
    restored = {n: file.read_rows(n, 0, s[0] if len(s) == 2 else 1) for n, s in names.items()}
    write_gguf(copy, model, weights)  # the metadata; then every matrix in place
    reader = gguf.GGUFReader(copy, "r+")
    for tensor in reader.tensors:
        tensor.data[...] = restored[tensor.name].reshape(tensor.data.shape)
    reader.data.flush()
    return copy
