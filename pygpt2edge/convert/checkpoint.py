"""Opens any checkpoint: finds out what it is, and checks that it is a whole GPT-2.

After this every source looks the same: a configuration, a vocabulary, and for each tensor of the
model a place to read it from, with the shape a GGUF gives it. Nothing has been read but headers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pygpt2edge.convert.gguf_reader import QuantizedTensor, read_gguf
from pygpt2edge.convert.gpt2_names import (
    TensorSpec,
    canonical_openai_name,
    is_ignored_buffer,
    is_optimizer_state,
    is_other_head,
    needed_tensors,
)
from pygpt2edge.convert.model_config import (
    ModelConfig,
    read_gguf_config,
    read_hugging_face_config,
    read_openai_config,
)
from pygpt2edge.convert.safetensors_reader import read_safetensors
from pygpt2edge.convert.stored_tensor import RowSource, StoredTensor
from pygpt2edge.convert.tf_reader import checkpoint_prefix, read_tf_checkpoint
from pygpt2edge.convert.torch_reader import read_torch
from pygpt2edge.convert.vocabulary import (
    Vocabulary,
    read_hugging_face_vocabulary,
    read_openai_vocabulary,
)
from pygpt2edge.errors import FormatError, UnsupportedError
from pygpt2edge.json_file import read_json

VALID_SOURCES = (
    "a Hugging Face folder (config.json, model.safetensors or pytorch_model.bin, and a tokenizer) "
    "or the weights' file in it, "
    "an OpenAI folder (hparams.json, model.ckpt.index, model.ckpt.data-00000-of-00001, "
    "encoder.json, vocab.bpe), a GGUF file, or a hub name such as openai-community/gpt2"
)

# In order of preference; safetensors first, because it needs no pickle.
_HF_WEIGHTS: tuple[tuple[str, str, Callable[[Path], dict[str, StoredTensor]]], ...] = (
    ("model.safetensors", "Hugging Face safetensors", read_safetensors),
    ("pytorch_model.bin", "Hugging Face PyTorch", read_torch),
)
_WEIGHTS_SUFFIXES = {Path(name).suffix: (kind, read) for name, kind, read in _HF_WEIGHTS}
_SHARD = re.compile(r"-\d+-of-\d+\.\w+$")
_OTHER_WEIGHTS = {
    "tf_model.h5": "TensorFlow (Keras) weights",
    "flax_model.msgpack": "Flax weights",
    "adapter_model.safetensors": "an adapter, not a model; merge it into its base model first",
    "adapter_model.bin": "an adapter, not a model; merge it into its base model first",
    "model.onnx": "an ONNX model",
}
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

    @property
    def n_params(self) -> int:
        return sum(spec.n_elements for spec, _ in self.tensors)


def open_checkpoint(source: Path) -> Checkpoint:
    """Opens a folder or a file, whatever it holds.

    Raises FileNotFoundError when it is missing or nothing known, FormatError when it is damaged or
    incomplete, UnsupportedError when it is a model this program does not run.
    """
    if source.is_file():
        return _open_file(source)
    if not source.is_dir():
        raise FileNotFoundError(f"{source}: no such file or folder; expected {VALID_SOURCES}")
    for stem, kind, read in _HF_WEIGHTS:
        if (source / stem).is_file() or (source / f"{stem}.index.json").is_file():
            return _open_hugging_face(source, stem, kind, read)
    if prefix := checkpoint_prefix(source):
        return _open_openai(source, prefix)
    for name, description in _OTHER_WEIGHTS.items():
        if (source / name).is_file():
            raise UnsupportedError(f"{source / name}: {description}; expected {VALID_SOURCES}")
    if ggufs := sorted(source.glob("*.gguf")):
        raise FormatError(f"{source}: a folder; to convert a GGUF name the file: {ggufs[0]}")
    raise FileNotFoundError(f"{source}: holds no checkpoint; expected {VALID_SOURCES}")


def is_weights_file(path: Path) -> bool:
    """Whether it is, by its name, a Hugging Face checkpoint's file of weights."""
    return path.suffix in _WEIGHTS_SUFFIXES and path.is_file() and not _is_gguf(path)


def _is_gguf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"GGUF"


def _open_file(path: Path) -> Checkpoint:
    if _is_gguf(path):
        return _open_gguf(path)
    if path.name in _OTHER_WEIGHTS:
        raise UnsupportedError(f"{path}: {_OTHER_WEIGHTS[path.name]}; expected {VALID_SOURCES}")
    if path.suffix in _WEIGHTS_SUFFIXES:
        folder = path.absolute().parent
        if _SHARD.search(path.name):
            raise FormatError(f"{path}: one part of a checkpoint; name its folder: {folder}")
        checkpoint = _open_hugging_face(folder, path.name, *_WEIGHTS_SUFFIXES[path.suffix])
        return replace(checkpoint, path=path)
    raise FormatError(
        f"{path}: not a GGUF file; to convert a checkpoint name its folder; expected "
        f"{VALID_SOURCES}"
    )


def _open_hugging_face(
    folder: Path, stem: str, kind: str, read: Callable[[Path], dict[str, StoredTensor]]
) -> Checkpoint:
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder / 'config.json'}: missing; it is needed beside {stem}")
    config = read_hugging_face_config(folder / "config.json")
    if (folder / stem).is_file():
        stored = read(folder / stem)
    else:
        stored = _read_shards(folder / f"{stem}.index.json", read)
    by_name: dict[str, StoredTensor] = {}
    for name, tensor in stored.items():
        canonical = name.removeprefix("transformer.")
        if canonical in by_name:
            raise FormatError(f"{tensor.path}: both {canonical} and transformer.{canonical}")
        by_name[canonical] = tensor
    read_vocabulary = partial(read_hugging_face_vocabulary, folder, config.n_vocab)
    return _bind(kind, folder, config, by_name, read_vocabulary)


def _read_shards(
    index: Path, read: Callable[[Path], dict[str, StoredTensor]]
) -> dict[str, StoredTensor]:
    """The tensors of all files that an index names, each looked up where the index says."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict):
        raise FormatError(f"{index}: has no weight_map of tensor: file")
    shards: dict[str, dict[str, StoredTensor]] = {}
    tensors = {}
    for name, file_name in weight_map.items():
        if not isinstance(file_name, str) or Path(file_name).name != file_name:
            raise FormatError(f"{index}: file of {name!r} is {file_name!r:.80}, expected a name")
        if file_name not in shards:
            path = index.parent / file_name
            if not path.is_file():
                raise FileNotFoundError(f"{path}: missing; {index.name} says {name!r} is in it")
            shards[file_name] = read(path)
        if name not in shards[file_name]:
            raise FormatError(f"{index.parent / file_name}: lacks {name!r}, which {index.name} "
                              "says is in it")  # fmt: skip
        tensors[name] = shards[file_name][name]
    return tensors


def _open_openai(folder: Path, prefix: Path) -> Checkpoint:
    if not (folder / "hparams.json").is_file():
        raise FileNotFoundError(f"{folder / 'hparams.json'}: missing; an OpenAI checkpoint has it")
    config = read_openai_config(folder / "hparams.json")
    by_name = {}
    for name, tensor in read_tf_checkpoint(prefix).items():
        if not is_optimizer_state(name):
            # Conv1D weights carry the width of their convolution: (1, n_in, n_out).
            is_conv1d = len(tensor.shape) == 3 and tensor.shape[0] == 1
            by_name[canonical_openai_name(name)] = (
                tensor.without_leading_one() if is_conv1d else tensor
            )
    read_vocabulary = partial(read_openai_vocabulary, folder, config.n_vocab)
    return _bind("OpenAI TensorFlow", folder, config, by_name, read_vocabulary)


def _open_gguf(path: Path) -> Checkpoint:
    contents = read_gguf(path)
    embedding = contents.tensors.get("token_embd.weight")
    n_vocab = embedding.shape[0] if embedding and len(embedding.shape) == 2 else 0
    config = read_gguf_config(path, contents.metadata, n_vocab)
    n_tokens = len(contents.vocabulary.tokens)
    if n_tokens != n_vocab:
        raise FormatError(f"{path}: has {n_tokens} tokens for the {n_vocab} rows of token_embd")
    specs = needed_tensors(config, has_output="output.weight" in contents.tensors)
    bound: list[tuple[TensorSpec, RowSource]] = []
    for spec in specs:
        tensor = contents.tensors.get(spec.gguf_name)
        bound.append((spec, _checked(path, spec.gguf_name, tensor, spec.shape)))
    if extra := sorted(contents.tensors.keys() - {spec.gguf_name for spec in specs}):
        raise UnsupportedError(f"{path}: tensor {extra[0]!r:.80} is no part of a GPT-2")
    return Checkpoint(
        kind="GGUF",
        path=path,
        config=config,
        entries=[
            StoredEntry(t.name, t.dtype, t.shape, t.n_bytes) for t in contents.tensors.values()
        ],
        tensors=_without_tied_output(bound),
        read_vocabulary=lambda: contents.vocabulary,
        quantized_types=contents.quantized_types,
        carried_metadata=contents.carried_metadata,
    )  # fmt: skip


def _bind(
    kind: str, path: Path, config: ModelConfig, by_name: dict[str, StoredTensor],
    read_vocabulary: Callable[[], Vocabulary],
) -> Checkpoint:  # fmt: skip
    """Looks up every tensor the model needs, and accounts for every other one."""
    if not config.tie_word_embeddings and "lm_head.weight" not in by_name:
        raise FormatError(
            f"{path}: tensor lm_head.weight is missing; config.json says the head is not tied "
            "to the embedding (tie_word_embeddings)"
        )
    specs = needed_tensors(config, has_output="lm_head.weight" in by_name)
    bound: list[tuple[TensorSpec, RowSource]] = []
    for spec in specs:
        stored_shape = spec.shape[::-1] if spec.is_conv1d else spec.shape
        tensor = _checked(path, spec.name, by_name.get(spec.name), stored_shape)
        bound.append((spec, tensor.transposed() if spec.is_conv1d else tensor))

    warnings = []
    for name in sorted(by_name.keys() - {spec.name for spec in specs}):
        if is_other_head(name):
            warnings.append(f"left out {name}, a head for another task than generating text")
        elif not is_ignored_buffer(name):
            raise UnsupportedError(
                f"{by_name[name].path}: tensor {name!r:.80} is no part of a GPT-2 "
                f"of {config.n_layer} layers"
            )
    entries = [StoredEntry(t.name, t.dtype, t.shape, t.n_bytes) for t in by_name.values()]
    return Checkpoint(
        kind, path, config, entries, _without_tied_output(bound), read_vocabulary, warnings
    )


def _checked(path: Path, name: str, tensor: _Tensor | None, shape: tuple[int, ...]) -> _Tensor:
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


def _without_tied_output(
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
