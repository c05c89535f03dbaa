"""Tokens are classified as by transformers' pipeline("token-classification")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from classifier_models import CLASSIFIERS, TEXTS, write_checkpoint
from tiny_models import byte_vocabulary

from pygpt2edge import GPT2, TokenLabel
from pygpt2edge.convert import convert

EXPECTED = CLASSIFIERS["names"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> GPT2:
    folder: Path = tmp_path_factory.mktemp("model")
    source = write_checkpoint(folder / "names", "names")
    return GPT2(convert(source, folder / "out.gguf", "f32").out)


def check(found: list[TokenLabel], expected: list[dict[str, Any]]) -> None:
    assert len(found) == len(expected)
    for label, each in zip(found, expected, strict=True):
        assert label.label == each.get("entity", each.get("entity_group"))
        assert label.score == pytest.approx(each["score"], abs=1e-5)
        assert (label.start, label.end) == (each["start"], each["end"])
        assert label.index == each.get("index")


@pytest.mark.parametrize(("kind", "ignored"), [("none", ["O"]), ("everything", [])])
def test_tokens_are_the_pipelines(model: GPT2, kind: str, ignored: list[str]) -> None:
    found = model.classify_tokens(TEXTS, ignore_labels=ignored, allow_special=True)
    for labels, expected in zip(found, EXPECTED[kind], strict=True):
        check(labels, expected)
        assert [label.word for label in labels] == [spelled(each["word"]) for each in expected]


def spelled(word: str) -> str:
    """The text of a token that the pipeline gives as the vocabulary spells it."""
    if word in ("<|user|>", "hello world"):
        return word
    bytes_of = {spelling: byte for byte, spelling in enumerate(byte_vocabulary(257)[0][:256])}
    return bytes(bytes_of[character] for character in word).decode(errors="replace")


@pytest.mark.parametrize(("kind", "ignored"), [("simple", ["O"]), ("simple everything", [])])
def test_groups_are_the_pipelines(model: GPT2, kind: str, ignored: list[str]) -> None:
    for text, expected in zip(TEXTS, EXPECTED[kind], strict=True):
        found = model.classify_tokens(text, "simple", ignore_labels=ignored, allow_special=True)
        check(found, expected)
        assert [label.word for label in found] == [each["word"] for each in expected]


def test_places_are_the_texts(model: GPT2) -> None:
    text = "the 😀\u200d cat"
    labels = model.classify_tokens(text, ignore_labels=())
    smile = [label for label in labels if label.start == 4]
    assert len(smile) == 4  # a token for each of its bytes
    assert {text[label.start : label.end] for label in smile} == {"😀"}
    groups = model.classify_tokens(text, "simple", ignore_labels=())
    assert "".join(text[group.start : group.end] for group in groups).startswith("the 😀")


def test_empty_texts_and_batches(model: GPT2) -> None:
    assert model.classify_tokens("") == []
    assert model.classify_tokens([]) == []
    many = [*TEXTS * 5, ""]
    assert model.classify_tokens(many) == [model.classify_tokens(text) for text in many]
    with pytest.raises(ValueError, match="aggregation_strategy is 'max', expected 'none' or 'sim"):
        model.classify_tokens("the", "max")  # type: ignore[arg-type]
