"""`pygpt2edge classify`: labels of texts, or of their tokens."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from classifier_models import write_checkpoint

from pygpt2edge import GPT2
from pygpt2edge.convert import convert

from .conftest import Run, one_line_error

TEXTS = ["the cat sat", "nobody", "they went there"]


@pytest.fixture(scope="module")
def topics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("topics")
    return convert(write_checkpoint(folder / "topics", "topics"), folder / "topics.gguf").out


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("names")
    return convert(write_checkpoint(folder / "names", "names"), folder / "names.gguf").out


def test_a_table_of_texts(run: Run, topics: Path) -> None:
    done = run("classify", "-m", topics, *TEXTS)
    assert done.returncode == 0
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["score", "label", "text"]
    for row, text, [label] in zip(rows, TEXTS, GPT2(topics).classify(TEXTS), strict=True):
        assert row.split(maxsplit=2) == [f"{label.score:.4f}", label.label, repr(text)]


def test_json_of_a_file(run: Run, topics: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    args = ("classify", "-m", topics, "-f", "texts.txt", "--json")
    found = json.loads(run(*args, "--top-k", "0", "--function", "softmax").stdout)
    expected = GPT2(topics).classify(TEXTS, None, "softmax")
    assert [each["text"] for each in found["texts"]] == TEXTS
    assert [each["labels"] for each in found["texts"]] == [
        [asdict(label) for label in labels] for labels in expected
    ]
    two = json.loads(run(*args, "-k", "2").stdout)
    assert [len(each["labels"]) for each in two["texts"]] == [2, 2, 2]


def test_tokens(run: Run, names: Path) -> None:
    model = GPT2(names)
    for aggregation in ("none", "simple"):
        done = run("classify", "-m", names, *TEXTS, "--aggregation", aggregation)
        _, *rows = done.stdout.splitlines()
        labels = [each for text in TEXTS for each in model.classify_tokens(text, aggregation)]
        assert len(rows) == len(labels) > 0
        for row, label in zip(rows, labels, strict=True):
            assert row.split(maxsplit=2) == [f"{label.score:.4f}", label.label, repr(label.word)]


def test_refusals(run: Run, topics: Path, names: Path) -> None:
    for_texts = one_line_error(run("classify", "-m", topics, "x", "--aggregation", "simple"), 2)
    assert "this model classifies texts" in for_texts
    assert "are for texts" in one_line_error(run("classify", "-m", names, "x", "-k", "2"), 2)
    assert "has no classifier" in one_line_error(run("classify", "x", "-q"), 1)
    assert "fine-tuned to classify" in one_line_error(run("generate", "-m", topics, "the"), 1)
    assert "give a TEXT" in one_line_error(run("classify", "-m", topics), 2)


def test_a_checkpoint_is_converted_once(run: Run, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYGPT2EDGE_CACHE", str(tmp_path / "cache"))
    source = write_checkpoint(tmp_path / "sentiment", "sentiment")
    done = run("classify", "-m", source, "the cat", "--type", "f32", "--json")
    assert json.loads(done.stdout)["texts"][0]["labels"][0]["label"] in ("NEGATIVE", "POSITIVE")
    done = run("convert", source, "out.gguf", "--no-classifier")
    assert done.returncode == 0
    assert "warning" not in done.stderr
