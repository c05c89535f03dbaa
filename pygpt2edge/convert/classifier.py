"""The heads of fine-tunes that classify: GPT2ForSequenceClassification's, one that classifies
tokens, and what a GGUF says of them.

A head is `cls.output.weight` and `.bias` in a GGUF, and its labels are a key, as llama.cpp has them
for other architectures. Keys of our own say what llama.cpp has no word for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pygpt2edge.convert.gpt2_names import TensorSpec
from pygpt2edge.convert.model_config import ModelConfig
from pygpt2edge.errors import FormatError

CLASSIFIES_KEY = "pygpt2edge.classifier.classifies"
PROBLEM_TYPE_KEY = "pygpt2edge.classifier.problem_type"
LANGUAGE_MODEL_KEY = "pygpt2edge.language_model"
_WEIGHT, _BIAS = "cls.output.weight", "cls.output.bias"
# Hugging Face's module, and what it classifies.
_HEADS = {"score": "texts", "classifier": "tokens"}


@dataclass(frozen=True)
class Classifier:
    """What a model classifies, "texts" or "tokens", and by which labels.

    Attributes:
      classifies: "texts" or "tokens".
      labels: their names, in the order of the head's rows.
      problem_type: Hugging Face's word for what the logits mean, or None.
      language_model: whether the model has a head for text as well.
    """

    classifies: str
    labels: tuple[str, ...]
    problem_type: str | None
    language_model: bool


def head_of_checkpoint(
    path: Path, config: ModelConfig, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Classifier, list[TensorSpec]] | None:
    """The classifier of a checkpoint whose tensors have these shapes, and its tensors; None where
    there is none. Raises FormatError where config.json has labels for another."""
    module = next((name for name in _HEADS if len(shapes.get(f"{name}.weight", ())) == 2), None)
    if module is None:
        return None
    n_labels = shapes[f"{module}.weight"][0]
    labels = config.labels or tuple(f"LABEL_{i}" for i in range(n_labels))
    if len(labels) != n_labels:
        raise FormatError(
            f"{path}: tensor {module}.weight has {n_labels} rows, config.json {len(labels)} labels "
            "(id2label); the checkpoint contradicts itself"
        )
    classifier = Classifier(_HEADS[module], labels, config.problem_type, "lm_head.weight" in shapes)
    return classifier, _specs(module, n_labels, config.n_embd, f"{module}.bias" in shapes)


def head_of_gguf(
    metadata: Mapping[str, Any], labels: tuple[str, ...], config: ModelConfig,
    shapes: Mapping[str, tuple[int, ...]],
) -> tuple[Classifier, list[TensorSpec]] | None:  # fmt: skip
    """The same of a GGUF."""
    shape = shapes.get(_WEIGHT, ())
    if len(shape) != 2:
        return None
    classifier = Classifier(
        str(metadata.get(CLASSIFIES_KEY, "texts")),
        labels or tuple(f"LABEL_{i}" for i in range(shape[0])),
        metadata.get(PROBLEM_TYPE_KEY),
        metadata.get(LANGUAGE_MODEL_KEY, True) is True,
    )
    module = "classifier" if classifier.classifies == "tokens" else "score"
    return classifier, _specs(module, shape[0], config.n_embd, _BIAS in shapes)


def is_of_classifier(spec: TensorSpec) -> bool:
    return spec.gguf_name in (_WEIGHT, _BIAS)


def _specs(module: str, n_labels: int, n_embd: int, has_bias: bool) -> list[TensorSpec]:
    specs = [TensorSpec(f"{module}.weight", _WEIGHT, (n_labels, n_embd))]
    if has_bias:
        specs.append(TensorSpec(f"{module}.bias", _BIAS, (n_labels,)))
    return specs
