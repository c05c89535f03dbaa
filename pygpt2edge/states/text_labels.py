"""Texts classified as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pygpt2edge import _core
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.states.labels import Label, ScoreFunction, classifier_of, sigmoid, softmax
from pygpt2edge.states.texts import Text, Texts, listed, tokens_of_texts

_FUNCTIONS: dict[str, Callable[[Sequence[float]], list[float]]] = {
    "softmax": softmax,
    "sigmoid": sigmoid,
    "none": list,
}


def classify(
    model: LoadedModel, texts: Text | Texts, top_k: int | None, function: ScoreFunction | None,
    *, truncate: bool, allow_special: bool,
) -> list[Label] | list[list[Label]]:  # fmt: skip
    """See `GPT2.classify`."""
    several, is_one = listed(texts)
    classifier = classifier_of(model, of_tokens=False)
    score = _score_function(classifier, function)
    _check_top_k(top_k)
    tokens = tokens_of_texts(model, several, truncate=truncate, allow_special=allow_special)
    without_padding = [_without_end(each, classifier.pad_token) for each in tokens]
    all_logits = _core.classify(model.core_model, model.contexts, without_padding)
    found = [_best(classifier.labels, score(logits), top_k) for logits in all_logits]
    return found[0] if is_one else found


def _score_function(
    classifier: _core.Classifier, name: str | None
) -> Callable[[Sequence[float]], list[float]]:
    """The one that is asked for, or that the problem type and the number of labels ask for."""
    if name is None:
        problem = classifier.problem_type
        if problem == "regression":
            name = "none"
        elif problem == "multi_label_classification" or len(classifier.labels) == 1:
            name = "sigmoid"
        else:
            name = "softmax"
    if name not in _FUNCTIONS:
        raise ValueError(
            f"function_to_apply is {name!r:.60}, expected one of {', '.join(_FUNCTIONS)}"
        )
    return _FUNCTIONS[name]


def _check_top_k(top_k: int | None) -> None:
    if top_k is not None and (type(top_k) is not int or top_k < 1):
        raise ValueError(f"top_k is {top_k!r:.60}, expected 1 or more, or None for all labels")


def _without_end(tokens: list[int], pad: int | None) -> list[int]:
    """Without the padding at the end, which a text that was padded for others has: the last token
    before it is classified. Of nothing but padding, the first is."""
    n = len(tokens)
    while n > 1 and tokens[n - 1] == pad:
        n -= 1
    return tokens[:n]


def _best(labels: Sequence[str], scores: Sequence[float], top_k: int | None) -> list[Label]:
    found = [Label(label, score) for label, score in zip(labels, scores, strict=True)]
    return sorted(found, key=lambda each: -each.score)[:top_k]
