"""A GGUF as a source: its tensors, read in slabs, and what its metadata carries over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pygpt2edge.convert.stored_tensor import StoredTensor, read_exactly, row_shape
from pygpt2edge.convert.vocabulary import Vocabulary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pygpt2edge import _core

_PLAIN_TYPES = {"F32": "f32", "F16": "f16", "BF16": "bf16"}
# Written anew for the output; everything else is carried over.
_OWN_KEYS = (
    "general.architecture",
    "general.file_type",
    "general.quantization_version",
    "general.alignment",
    "general.size_label",
    "pygpt2edge.activation_function",
    "pygpt2edge.language_model",
)
_WRITTEN_KEYS = ("tokenizer.ggml.model", "tokenizer.chat_template")
_OWN_PREFIXES = ("gpt2.", "pygpt2edge.classifier.", "tokenizer.", "GGUF.", "split.")
_LABELS_KEY = "gpt2.classifier.output_labels"


@dataclass(frozen=True)
class QuantizedTensor:
    """Rows of blocks in a file. Shape is (n_out, n_in)."""

    name: str
    path: Path
    dtype: str  # such as "q8_0"
    shape: tuple[int, ...]
    offset: int
    n_bytes: int

    @property
    def n_elements(self) -> int:
        return math.prod(self.shape)

    def read_blocks(self, first: int, n: int) -> NDArray[np.uint8]:
        """Rows [first, first + n) as they are stored: (n, bytes of a row)."""
        row_bytes = self.n_bytes // row_shape(self.shape)[0]
        blocks = np.empty((n, row_bytes), np.uint8)
        with self.path.open("rb", buffering=0) as file:
            offset = self.offset + first * row_bytes
            read_exactly(file, offset, memoryview(blocks).cast("B"), self.name)
        return blocks

    def read_rows(self, first: int, n: int) -> NDArray[np.float32]:
        from pygpt2edge import _core

        blocks = self.read_blocks(first, n)
        return _core.dequantize(blocks, self.dtype, row_shape(self.shape)[1])

    def verify(self) -> None:
        """A GGUF stores no checksums."""


@dataclass(frozen=True)
class GgufContents:
    tensors: dict[str, StoredTensor | QuantizedTensor]
    metadata: dict[str, Any]
    carried_metadata: dict[str, Any]
    vocabulary: Vocabulary
    labels: tuple[str, ...] = ()  # of a classifier

    @property
    def quantized_types(self) -> list[str]:
        kinds = {t.dtype for t in self.tensors.values() if isinstance(t, QuantizedTensor)}
        return sorted(kinds)


def read_gguf(path: Path) -> GgufContents:
    """Everything but the numbers. Raises FormatError when the file is inconsistent."""
    from pygpt2edge import _core

    file = _core.GgufFile(str(path))
    tensors: dict[str, StoredTensor | QuantizedTensor] = {}
    for info in file.tensors:
        shape = tuple(info.shape)
        if info.type in _PLAIN_TYPES:
            dtype = _PLAIN_TYPES[info.type]
            tensors[info.name] = StoredTensor.contiguous(info.name, path, dtype, shape, info.offset)
        else:
            tensors[info.name] = QuantizedTensor(
                info.name, path, info.type.lower(), shape, info.offset, info.n_bytes
            )
    metadata = file.metadata
    carried = {
        key: value
        for key, value in metadata.items()
        if key not in _OWN_KEYS and not key.startswith(_OWN_PREFIXES)
    }
    template = metadata.get("tokenizer.chat_template")
    merges_key = "tokenizer.ggml.merges"
    tables = _core.tokenizer_tables(file)
    vocabulary = Vocabulary(
        file.strings("tokenizer.ggml.tokens"),
        list(tables.token_types),
        file.strings(merges_key) if file.has(merges_key) else [],
        chat_template=template if isinstance(template, str) else None,
        model=file.value("tokenizer.ggml.model"),
        keys=_other_keys(file) if tables.other_rule else {},
    )
    labels = tuple(file.strings(_LABELS_KEY)) if file.has(_LABELS_KEY) else ()
    return GgufContents(tensors, metadata, carried, vocabulary, labels)


def _other_keys(file: _core.GgufFile) -> dict[str, Any]:
    """What says how a tokenizer of another kind than GPT-2's cuts text."""
    arrays = ("tokenizer.ggml.scores", "tokenizer.ggml.precompiled_charsmap")
    found = {
        key: value
        for key, value in file.metadata.items()
        if key.startswith("tokenizer.") and key not in _WRITTEN_KEYS
    } | {key: file.value(key) for key in arrays if file.has(key)}
    if (charsmap := found.get(arrays[1])) is not None:
        found[arrays[1]] = bytes(charsmap)
    return found
