"""A whole GPT-2, wherever it came from.

After this every source looks the same: a configuration, a vocabulary, and for each tensor of the
model a place to read it from, with the shape a GGUF gives it. Nothing has been read but headers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pygpt2edge.convert.classifier import Classifier, head_of_checkpoint, is_of_classifier
from pygpt2edge.convert.gguf_reader import QuantizedTensor
from pygpt2edge.convert.gpt2_names import (
    TensorSpec,
    is_ignored_buffer,
    is_other_head,
    needed_tensors,
    prefixes,
)
from pygpt2edge.convert.model_config import ModelConfig
from pygpt2edge.convert.stored_tensor import RowSource, StoredTensor, ZeroVector
from pygpt2edge.convert.vocabulary import Vocabulary
from pygpt2edge.errors import FormatError, UnsupportedError

_MANY_LAYERS = 1000
_COMPARE_BYTES = 8 << 20
_Tensor = TypeVar("_Tensor", bound=StoredTensor | QuantizedTensor)


@dataclass(frozen=True)
class StoredEntry:
    """A tensor as the checkpoint stores it, for people to read.

    Attributes:
      name: the checkpoint's name of it.
      dtype: the checkpoint's name of its type.
      shape: slowest dimension first.
      n_bytes: as stored.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    n_bytes: int


@dataclass(frozen=True)
class Checkpoint:
    """A whole GPT-2, its tensors bound to the places where they lie."""

    kind: str
    path: Path
    config: ModelConfig
    entries: list[StoredEntry]
    tensors: list[tuple[TensorSpec, RowSource]]
    read_vocabulary: Callable[[], Vocabulary]
    warnings: list[str] = field(default_factory=list)
    quantized_types: list[str] = field(default_factory=list)
    carried_metadata: dict[str, Any] = field(default_factory=dict)
    classifier: Classifier | None = None

    @property
    def n_params(self) -> int:
        return sum(spec.n_elements for spec, _ in self.tensors)

    def without_classifier(self) -> Checkpoint:
        """The same without its classifier, as if it had been trained to write text."""
        tensors = [bound for bound in self.tensors if not is_of_classifier(bound[0])]
        return replace(self, tensors=tensors, classifier=None)


def without_prefixes(
    path: Path, stored: dict[str, StoredTensor]
) -> tuple[dict[str, StoredTensor], list[str]]:
    """(canonical name -> tensor, warnings), whatever precedes all names of a state dict."""
    trunk, head = prefixes(stored)
    by_name: dict[str, StoredTensor] = {}
    for name, tensor in stored.items():
        # The longer one first: the names of the trunk begin with both.
        canonical = name.removeprefix(trunk) if name.startswith(trunk) else name.removeprefix(head)
        if canonical in by_name:
            raise FormatError(f"{path}: both {canonical} and {trunk or head}{canonical}")
        by_name[canonical] = tensor
    if not head:
        return by_name, []
    return by_name, [f"the names of the tensors begin with {head!r:.60}, which was taken off"]


def bind(
    kind: str, path: Path, config: ModelConfig, by_name: dict[str, StoredTensor],
    read_vocabulary: Callable[[], Vocabulary], *, warnings: Sequence[str] = (), biases: bool = True,
) -> Checkpoint:  # fmt: skip
    """Looks up every tensor the model needs, by its canonical name, and accounts for every other
    one. Without `biases`, those are zeros."""
    if not config.tie_word_embeddings and "lm_head.weight" not in by_name:
        raise FormatError(
            f"{path}: tensor lm_head.weight is missing; config.json says the head is not tied "
            "to the embedding (tie_word_embeddings)"
        )
    check_layers(path, config, len(by_name))
    specs = needed_tensors(config, has_output="lm_head.weight" in by_name)
    shapes = {name: tensor.shape for name, tensor in by_name.items()}
    classifier, head = head_of_checkpoint(path, config, shapes) or (None, [])
    specs += head
    is_conv1d = not _has_linear_weights(specs, by_name)
    bound: list[tuple[TensorSpec, RowSource]] = []
    for spec in specs:
        if not biases and spec.is_bias:
            bound.append((spec, ZeroVector(spec.shape)))
            continue
        is_transposed = is_conv1d and spec.is_conv1d
        stored_shape = spec.shape[::-1] if is_transposed else spec.shape
        tensor = checked(path, spec.name, by_name.get(spec.name), stored_shape)
        bound.append((spec, tensor.transposed() if is_transposed else tensor))

    notes = list(warnings)
    needed = {spec.name for spec, source in bound if not isinstance(source, ZeroVector)}
    for name in sorted(by_name.keys() - needed):
        if is_other_head(name):
            notes.append(f"left out {name}, a head for a task that this program does not do")
        elif not is_ignored_buffer(name):
            raise UnsupportedError(
                f"{by_name[name].path}: tensor {name!r:.80} is no part of a GPT-2 "
                f"of {config.n_layer} layers"
            )
    entries = [StoredEntry(t.name, t.dtype, t.shape, t.n_bytes) for t in by_name.values()]
    return Checkpoint(
        kind, path, config, entries, without_tied_output(bound), read_vocabulary, notes,
        classifier=classifier,
    )  # fmt: skip


def check_layers(path: Path, config: ModelConfig, n_tensors: int) -> None:
    """Raises FormatError where there are far more layers than tensors, before anything is made for
    each layer."""
    if config.n_layer > max(n_tensors, _MANY_LAYERS):
        raise FormatError(
            f"{path}: the configuration has {config.n_layer} layers, but there are {n_tensors} "
            "tensors; the checkpoint is incomplete"
        )


def _has_linear_weights(specs: list[TensorSpec], by_name: dict[str, StoredTensor]) -> bool:
    """Whether matrices are stored as (n_out, n_in), as torch's Linear has them, and not as
    (n_in, n_out). All of a model are alike, and the first is never square."""
    first = next(spec for spec in specs if spec.is_conv1d)
    tensor = by_name.get(first.name)
    return tensor is not None and tensor.shape == first.shape


def checked(path: Path, name: str, tensor: _Tensor | None, shape: tuple[int, ...]) -> _Tensor:
    """The tensor, if it is there, has that shape and holds floating-point numbers."""
    if tensor is None:
        raise FormatError(
            f"{path}: tensor {name} is missing, expected {list(shape)}; "
            "the checkpoint is incomplete"
        )
    if tensor.shape != shape:
        raise FormatError(
            f"{tensor.path}: tensor {name} is {list(tensor.shape)}, expected "
            f"{list(shape)} from the configuration"
        )
    if isinstance(tensor, StoredTensor) and tensor.dtype not in ("f32", "f16", "bf16", "f64"):
        raise UnsupportedError(
            f"{tensor.path}: tensor {name} has dtype {tensor.dtype}, expected f32, f16, bf16 or f64"
        )
    return tensor


def without_tied_output(
    bound: list[tuple[TensorSpec, RowSource]],
) -> list[tuple[TensorSpec, RowSource]]:
    """Drops the head when it equals the embedding: a GGUF without output.weight ties them."""
    by_name = {spec.gguf_name: source for spec, source in bound}
    output = by_name.get("output.weight")
    if output is None or not _are_equal(by_name["token_embd.weight"], output):
        return bound
    return [(spec, source) for spec, source in bound if spec.gguf_name != "output.weight"]


def _are_equal(a: RowSource, b: RowSource) -> bool:
    n_rows, n_in = a.shape
    if isinstance(a, StoredTensor) and isinstance(b, StoredTensor):
        same_place = (a.path, a.offset, a.strides) == (b.path, b.offset, b.strides)
        if same_place:
            return True
    step = max(1, _COMPARE_BYTES // (4 * n_in))
    return all(
        np.array_equal(
            a.read_rows(row, min(step, n_rows - row)).view(np.uint32),
            b.read_rows(row, min(step, n_rows - row)).view(np.uint32),
        )
        for row in range(0, n_rows, step)
    )
