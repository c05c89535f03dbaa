"""The labels that a classifier gives to texts and to their tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pygpt2edge import _core
from pygpt2edge.errors import UnsupportedError
from pygpt2edge.loaded_model import LoadedModel

ScoreFunction = Literal["softmax", "sigmoid", "none"]


@dataclass(frozen=True)
class Label:
    """A label of a text.

    Attributes:
      label: its name, as the checkpoint's id2label has it.
      score: its probability, or the number itself where no function was applied.
    """

    label: str
    score: float


@dataclass(frozen=True)
class TokenLabel:
    """The label of a token, or of several neighbours together.

    Attributes:
      label: its name; of several tokens, without "B-" or "I-".
      score: its probability; of several tokens, the mean.
      word: the text of the tokens. A part of a character is U+FFFD.
      start, end: where it is in the text: `text[start:end]`, in characters.
      index: the token's number; None of several tokens.
    """

    label: str
    score: float
    word: str
    start: int
    end: int
    index: int | None = None


def classifier_of(model: LoadedModel, *, of_tokens: bool) -> _core.Classifier:
    """The model's classifier. Raises UnsupportedError where there is none of this kind."""
    found = _core.classifier(model.core_model)
    if found is None:
        raise UnsupportedError(
            f"{model.path}: has no classifier; convert a checkpoint of "
            "GPT2ForSequenceClassification or GPT2ForTokenClassification"
        )
    if found.of_tokens != of_tokens:
        what, call = ("tokens", "classify_tokens") if found.of_tokens else ("texts", "classify")
        raise UnsupportedError(f"{model.path}: classifies {what}: call {call}")
    return found


def classifies_tokens(model: LoadedModel) -> bool:
    """Whether the model classifies tokens, and not texts."""
    found = _core.classifier(model.core_model)
    return found is not None and found.of_tokens


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities that sum to 1."""
    highest = max(logits)
    weights = [math.exp(logit - highest) for logit in logits]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def sigmoid(logits: Sequence[float]) -> list[float]:
    """A probability for each by itself."""
    return [0.5 * (1 + math.tanh(0.5 * logit)) for logit in logits]
