"""LoRA adapters of PEFT, merged into the model while it is converted.

An adapter is a folder with adapter_config.json and adapter_model.safetensors (or .bin). To a matrix
W it adds a product of two thin ones, scale B A, with scale = lora_alpha / r (Hu et al., "LoRA:
Low-Rank Adaptation of Large Language Models", 2021), or lora_alpha / sqrt(r) with rsLoRA
(Kalajdzievski, 2023). DoRA then gives each output's weights a length of its own (Liu et al., 2024).
Modules that were trained whole are stored whole. The names and the settings are PEFT's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pygpt2edge.convert.checkpoint import Checkpoint
from pygpt2edge.convert.classifier import head_of_checkpoint
from pygpt2edge.convert.gpt2_names import TensorSpec
from pygpt2edge.convert.other_files import refuse_other_contents
from pygpt2edge.convert.safetensors_reader import read_safetensors
from pygpt2edge.convert.stored_tensor import RowSource, StoredTensor
from pygpt2edge.convert.torch_reader import read_torch
from pygpt2edge.errors import FormatError, UnsupportedError
from pygpt2edge.json_file import read_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CONFIG = "adapter_config.json"
_WEIGHTS: dict[str, Callable[[Path], dict[str, StoredTensor]]] = {
    "adapter_model.safetensors": read_safetensors,
    "adapter_model.bin": read_torch,
}
_PREFIX = "base_model.model."
# `modules_to_save` names where older versions of PEFT keep a module that was trained whole.
_NAME = re.compile(
    r"(?:transformer\.)?(?P<module>.+?)\.(?:modules_to_save\.)?"
    r"(?P<part>lora_A\.weight|lora_B\.weight|lora_embedding_A|lora_embedding_B"
    r"|lora_magnitude_vector(?:\.weight)?|weight|bias)"
)
_TIED = (
    "has a head or an embedding of its own, which are one in this model; merge it with PEFT, "
    "untied (tie_word_embeddings=False), and convert the result"
)
# What cannot be merged, or belongs to other models.
_REFUSED = ("lora_bias", "megatron_config", "alora_invocation_tokens", "trainable_token_indices")
_PARTS = {
    "lora_A.weight": "a", "lora_B.weight": "b", "lora_embedding_A": "embedding_a",
    "lora_embedding_B": "embedding_b", "lora_magnitude_vector": "magnitude",
    "lora_magnitude_vector.weight": "magnitude",
}  # fmt: skip


@dataclass(frozen=True)
class AdaptedTensor:
    """W + scale B A; with a magnitude (n_out), rows are then made that long.

    A is (r, n_in), B is (n_out, r), and both are read for each slab of rows: they are thin.
    """

    base: RowSource
    a: RowSource
    b: RowSource
    scale: float
    magnitude: RowSource | None = None
    dtype: str = "f32"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.base.shape

    def read_rows(self, first: int, n: int) -> NDArray[np.float32]:
        rows = self.base.read_rows(first, n)
        rows += np.float32(self.scale) * (self.b.read_rows(first, n) @ self._a())
        if self.magnitude is not None:
            lengths = self.magnitude.read_rows(0, 1)[0, first : first + n]
            rows *= (lengths / np.linalg.norm(rows, axis=1))[:, None]
        return rows

    def _a(self) -> NDArray[np.float32]:
        return self.a.read_rows(0, self.a.shape[0])

    def verify(self) -> None:
        self.base.verify()


def merge_adapter(checkpoint: Checkpoint, folder: Path, strength: float = 1.0) -> Checkpoint:
    """The checkpoint with an adapter in it, `strength` times as strong as it was trained.

    Raises FileNotFoundError or FormatError when the folder holds no sound adapter, UnsupportedError
    when it is of another kind than LoRA or adapts what this model does not have.
    """
    settings = _Settings.read(folder / _CONFIG)
    by_module = _by_module(folder)
    checkpoint = _with_head(checkpoint, folder, by_module)
    sources = {spec.name: (spec, source) for spec, source in checkpoint.tensors}
    for module, parts in by_module.items():
        for part in ("weight", "bias"):
            if part in parts:
                spec, _ = _adapted(folder, sources, f"{module}.{part}")
                if spec.name == "wte.weight" and "lm_head.weight" not in sources:
                    raise UnsupportedError(f"{folder}: {_TIED}")
                sources[spec.name] = spec, _whole(folder, spec, parts[part])
        if {"a", "embedding_a"} & parts.keys():
            spec, base = _adapted(folder, sources, f"{module}.weight")
            scale = strength * settings.scale(module)
            sources[spec.name] = spec, _low_rank(folder, spec, base, parts, scale)
    return replace(
        checkpoint,
        tensors=list(sources.values()),
        warnings=[*checkpoint.warnings, f"merged {len(by_module)} modules of {folder}"],
    )


def _with_head(
    checkpoint: Checkpoint, folder: Path, by_module: dict[str, dict[str, StoredTensor]]
) -> Checkpoint:
    """The checkpoint with the classifier that the adapter was trained with, which is stored whole,
    where it has none of its own."""
    whole = {
        f"{module}.{part}": parts[part]
        for module, parts in by_module.items()
        for part in ("weight", "bias")
        if part in parts
    }
    shapes = {name: tensor.shape for name, tensor in whole.items()}
    found = head_of_checkpoint(folder, checkpoint.config, shapes)
    if found is None or checkpoint.classifier is not None:
        return checkpoint
    classifier, specs = found
    head = [(spec, _whole(folder, spec, whole[spec.name])) for spec in specs]
    return replace(checkpoint, classifier=classifier, tensors=[*checkpoint.tensors, *head])


@dataclass(frozen=True)
class _Settings:
    path: Path
    raw: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> _Settings:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: missing; a LoRA adapter of PEFT is a folder with it")
        raw = read_json(path)
        if raw.get("peft_type") != "LORA":
            raise UnsupportedError(
                f"{path}: peft_type is {raw.get('peft_type')!r:.60}, expected 'LORA'"
            )
        for key in _REFUSED:
            if raw.get(key):
                raise UnsupportedError(f"{path}: {key} is set, which cannot be merged here")
        return cls(path, raw)

    def scale(self, module: str) -> float:
        rank = self._of_module(module, "r", "rank_pattern")
        alpha = self._of_module(module, "lora_alpha", "alpha_pattern")
        if rank <= 0:
            raise FormatError(f"{self.path}: r is {rank:g}, expected 1 or more")
        return alpha / (math.sqrt(rank) if self.raw.get("use_rslora") else rank)

    def _of_module(self, module: str, key: str, pattern_key: str) -> float:
        value = self.raw.get(key)
        patterns = self.raw.get(pattern_key)
        for pattern, other in patterns.items() if isinstance(patterns, dict) else ():
            # PEFT takes a pattern for a regular expression of the name's end.
            try:
                fits = re.match(rf"(.*\.)?({pattern})$", f"transformer.{module}")
            except re.error as error:
                raise FormatError(f"{self.path}: {pattern_key} {pattern!r:.60}: {error}") from None
            if fits:
                value = other
                break
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FormatError(f"{self.path}: {key} is {value!r:.60}, expected a number")
        return float(value)


def _by_module(folder: Path) -> dict[str, dict[str, StoredTensor]]:
    """canonical module -> its parts: a, b, magnitude, or weight and bias as a whole."""
    path = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{folder}: has no {' or '.join(_WEIGHTS)}")
    refuse_other_contents(path)
    by_module: dict[str, dict[str, StoredTensor]] = {}
    for name, tensor in _WEIGHTS[path.name](path).items():
        match = _NAME.fullmatch(name.removeprefix(_PREFIX))
        if match is None or not name.startswith(_PREFIX):
            raise UnsupportedError(f"{path}: tensor {name!r:.80} is no part of a LoRA adapter")
        part = _PARTS.get(match["part"], match["part"])
        by_module.setdefault(match["module"].removesuffix(".base_layer"), {})[part] = tensor
    return by_module


def _adapted(
    folder: Path, sources: dict[str, tuple[TensorSpec, RowSource]], name: str
) -> tuple[TensorSpec, RowSource]:
    if name in sources:
        return sources[name]
    if name == "lm_head.weight":
        raise UnsupportedError(f"{folder}: {_TIED}")
    raise UnsupportedError(f"{folder}: adapts {name!r:.80}, which the model does not have")


def _whole(folder: Path, spec: TensorSpec, tensor: StoredTensor) -> RowSource:
    if spec.is_conv1d:
        tensor = tensor.transposed()
    _check_shape(folder, tensor, spec.shape)
    return tensor


def _low_rank(
    folder: Path, spec: TensorSpec, base: RowSource, parts: dict[str, StoredTensor], scale: float
) -> AdaptedTensor:
    is_embedding = "embedding_a" in parts
    names = ("embedding_b", "embedding_a") if is_embedding else ("a", "b")
    missing = [name for name in names if name not in parts]
    if missing or (is_embedding and "magnitude" in parts):
        raise FormatError(f"{folder}: {spec.name} has {', '.join(sorted(parts))} alone")
    a, b = (parts[name].transposed() if is_embedding else parts[name] for name in names)
    n_out, n_in = spec.shape
    _check_shape(folder, a, (a.shape[0], n_in))
    _check_shape(folder, b, (n_out, a.shape[0]))
    magnitude = parts.get("magnitude")
    if magnitude is not None:
        _check_shape(folder, magnitude, (n_out,))
    return AdaptedTensor(base, a, b, scale, magnitude)


def _check_shape(folder: Path, tensor: StoredTensor, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise FormatError(
            f"{folder}: tensor {tensor.name} is {list(tensor.shape)}, expected {list(shape)} from "
            "the model; was the adapter made for another one?"
        )


Adapters = Sequence["str | Path | tuple[str | Path, float]"]


def merge_adapters(checkpoint: Checkpoint, adapters: Adapters) -> Checkpoint:
    """Merges several, in order."""
    for adapter in adapters:
        folder, strength = adapter if isinstance(adapter, tuple) else (adapter, 1.0)
        if not math.isfinite(strength):
            raise ValueError(f"{folder}: scale {strength} is not a finite number")
        checkpoint = merge_adapter(checkpoint, Path(folder), strength)
    return checkpoint
