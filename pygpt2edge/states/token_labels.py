"""The tokens of a text classified one by one, and neighbours of one label put together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pygpt2edge import _core
from pygpt2edge.loaded_model import LoadedModel, token_ids
from pygpt2edge.states.labels import TokenLabel, classifier_of, softmax
from pygpt2edge.states.texts import Text, Texts, listed
from pygpt2edge.tokenizer import Tokenizer
from pygpt2edge.tokenizer.places import Place

Aggregation = Literal["none", "simple"]


def classify_tokens(
    model: LoadedModel, texts: Text | Texts, aggregation: Aggregation,
    ignore_labels: Sequence[str], *, truncate: bool, allow_special: bool,
) -> list[TokenLabel] | list[list[TokenLabel]]:  # fmt: skip
    """See `GPT2.classify_tokens`."""
    several, is_one = listed(texts)
    classifier = classifier_of(model, of_tokens=True)
    if aggregation not in ("none", "simple"):
        raise ValueError(
            f"aggregation_strategy is {aggregation!r:.60}, expected 'none' or 'simple'"
        )
    read = [_read(model, text, truncate, allow_special) for text in several]
    all_logits = _core.classify(model.core_model, model.contexts, [each.tokens for each in read])
    found = []
    for each, logits in zip(read, all_logits, strict=True):
        labels = _labelled(model.tokenizer, each, logits, classifier.labels)
        if aggregation == "simple":
            labels = _grouped(model.tokenizer, each.tokens, labels)
        found.append([label for label in labels if label.label not in ignore_labels])
    return found[0] if is_one else found


@dataclass(frozen=True)
class _Read:
    """A text's tokens, and where they are in it; None for those that are no part of it."""

    tokens: list[int]
    places: list[Place | None]


def _read(model: LoadedModel, text: Text, truncate: bool, allow_special: bool) -> _Read:
    places: list[Place | None]
    if isinstance(text, str):
        tokens, places = model.tokenizer.encode_with_places(text, allow_special=allow_special)
    else:
        tokens = token_ids(text, "text")
        places = [*model.tokenizer.places(tokens)]
    if not tokens:
        return _Read([model.start_token], [None])
    most = model.n_ctx if truncate else None
    return _Read(tokens[:most], places[:most])


def _labelled(
    tokenizer: Tokenizer, read: _Read, logits: Sequence[float], labels: Sequence[str]
) -> list[TokenLabel]:
    """The most probable label of each token."""
    found = []
    for index, (token, place) in enumerate(zip(read.tokens, read.places, strict=True)):
        if place is None:
            continue
        scores = softmax(logits[index * len(labels) : (index + 1) * len(labels)])
        best = max(range(len(labels)), key=scores.__getitem__)
        word = tokenizer.decode([token])
        found.append(TokenLabel(labels[best], scores[best], word, *place, index))
    return found


def _grouped(
    tokenizer: Tokenizer, tokens: Sequence[int], labels: Sequence[TokenLabel]
) -> list[TokenLabel]:
    """Neighbours of one label, "B-" and "I-" apart, as one; "B-" begins another."""
    groups: list[list[TokenLabel]] = []
    for index, each in enumerate(labels):
        is_more = index > 0 and _tag(each.label) == _tag(labels[index - 1].label)
        if is_more and not each.label.startswith("B-"):
            groups[-1].append(each)
        else:
            groups.append([each])
    return [_joined(tokenizer, tokens, group) for group in groups]


def _joined(tokenizer: Tokenizer, tokens: Sequence[int], group: Sequence[TokenLabel]) -> TokenLabel:
    numbers = [each.index for each in group if each.index is not None]
    return TokenLabel(
        label=group[0].label.split("-", 1)[-1],
        score=math.fsum(each.score for each in group) / len(group),
        word=tokenizer.decode([tokens[number] for number in numbers]),
        start=group[0].start,
        end=group[-1].end,
    )


def _tag(label: str) -> str:
    return label[2:] if label.startswith(("B-", "I-")) else label
