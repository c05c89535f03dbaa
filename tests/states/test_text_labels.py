"""Texts are classified as by transformers' pipeline("text-classification")."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from classifier_models import CLASSIFIERS, TEXTS, write_checkpoint

from pygpt2edge import GPT2, ContextLengthError, Label, UnsupportedError
from pygpt2edge.convert import convert

NAMES = [name for name, made in CLASSIFIERS.items() if made["module"] == "score"]
Load = Callable[..., GPT2]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    made: dict[str, GPT2] = {}

    def load(name: str, **config: Any) -> GPT2:
        key = f"{name} {config}"
        if key not in made:
            folder: Path = tmp_path_factory.mktemp("model")
            source = write_checkpoint(folder / name, name, **config)
            made[key] = GPT2(convert(source, folder / "out.gguf", "f32").out)
        return made[key]

    return load


def equal(found: list[Label], expected: list[dict[str, Any]]) -> bool:
    """The same labels in the same order, and scores within rounding."""
    return [label.label for label in found] == [each["label"] for each in expected] and all(
        label.score == pytest.approx(each["score"], abs=1e-5)
        for label, each in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("name", NAMES)
def test_all_labels_are_the_pipelines(load: Load, name: str) -> None:
    found = load(name).classify(TEXTS, top_k=None, allow_special=True)
    expected = CLASSIFIERS[name]
    assert all(map(equal, found, expected["all"]))
    raw = load(name).classify(TEXTS, None, "none", allow_special=True)
    assert all(map(equal, raw, expected["raw"]))


@pytest.mark.parametrize("name", NAMES)
def test_the_best_label_of_one_text(load: Load, name: str) -> None:
    model = load(name)
    for text, expected in zip(TEXTS, CLASSIFIERS[name]["best"], strict=True):
        found = model.classify(text, allow_special=True)
        assert equal(found, [expected])
        assert model.classify(model.tokenizer.encode(text, allow_special=True)) == found


def test_a_batch_changes_no_bit(load: Load) -> None:
    model = load("unnamed")
    many = TEXTS * 9
    assert model.classify(many, None) == [model.classify(text, None) for text in many]


def test_top_k_and_functions(load: Load) -> None:
    model = load("unnamed")
    two, all_three = model.classify("the", 2), model.classify("the", top_k=9)
    assert len(two) == 2
    assert two == all_three[:2]
    assert sum(label.score for label in all_three) == pytest.approx(1)
    raw = {label.label: label.score for label in model.classify("the", None, "none")}
    for label in model.classify("the", None, "sigmoid"):
        assert 1 / label.score - 1 == pytest.approx(2.718281828 ** -raw[label.label], rel=1e-6)
    with pytest.raises(ValueError, match="top_k is 0, expected 1 or more, or None"):
        model.classify("the", 0)
    with pytest.raises(ValueError, match="function_to_apply is 'tanh', expected one of softmax"):
        model.classify("the", function_to_apply="tanh")  # type: ignore[arg-type]


def test_padding_at_the_end_is_left_out(load: Load) -> None:
    """transformers classifies by the last token that is not the padding."""
    model = load("unnamed", pad_token_id=288)
    tokens = model.tokenizer.encode("the cat")
    assert model.classify([*tokens, 288, 288]) == model.classify(tokens)
    assert model.classify([288, 288, 288]) == model.classify([288])
    other = load("unnamed")
    assert other.classify([*tokens, 288]) != other.classify(tokens)


def test_empty_and_long_texts(load: Load) -> None:
    model = load("sentiment")
    assert model.classify([]) == []
    assert model.classify("") == model.classify([288])
    with pytest.raises(ContextLengthError, match="text 1: 20 tokens do not fit a context of 16"):
        model.classify([[5], [5] * 20])
    assert model.classify([5] * 20, truncate=True) == model.classify([5] * 16)


def test_other_models_say_what_to_do(load: Load) -> None:
    with pytest.raises(UnsupportedError, match=r"classifies texts: call classify$"):
        load("sentiment").classify_tokens("the")
    with pytest.raises(UnsupportedError, match=r"classifies tokens: call classify_tokens$"):
        load("names").classify("the")
    with pytest.raises(UnsupportedError, match="has no classifier"):
        GPT2().classify("the")
    assert load("sentiment").embed("the").shape == (32,)
