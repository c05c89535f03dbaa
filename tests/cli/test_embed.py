"""`pygpt2edge embed`: texts in, vectors out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pygpt2edge import GPT2

from .conftest import Run, one_line_error

TEXTS = ["It is a truth", "Once upon", "", "the end"]


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2()


def test_a_line_for_each_text(run: Run, model: GPT2) -> None:
    done = run("embed", *TEXTS)
    assert done.returncode == 0
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["index"] for each in found] == [0, 1, 2, 3]
    assert [each["text"] for each in found] == TEXTS
    assert [each["embedding"] for each in found] == model.embed(TEXTS).tolist()


@pytest.mark.parametrize("way", ["file", "stdin", "dash"])
def test_lines_of_a_file(run: Run, tmp_path: Path, model: GPT2, way: str) -> None:
    """An empty line is a text, so that a vector's number is its line's."""
    lines = "\r\n".join([*TEXTS, ""])
    (tmp_path / "texts.txt").write_bytes(lines.encode())
    args = {"file": ["-f", "texts.txt"], "stdin": [], "dash": ["--file", "-"]}[way]
    done = run("embed", "--json", "--pooling", "last", "--layer", "2", *args, input=lines)
    found = json.loads(done.stdout)
    assert found["texts"] == TEXTS
    assert found["embeddings"] == model.embed(TEXTS, 2, "last").tolist()


def test_files(run: Run, tmp_path: Path, model: GPT2) -> None:
    many = [f"{text} {i}" for i in range(40) for text in TEXTS]
    (tmp_path / "texts.txt").write_text("\n".join(many))
    done = run("embed", "-f", "texts.txt", "-o", "out.npy", "--pooling", "weighted")
    assert done.returncode == 0
    assert "out.npy: 160 vectors of 256" in done.stderr
    expected = model.embed(many, pooling="weighted")
    found = np.load(tmp_path / "out.npy")
    assert found.dtype == np.float32
    assert np.array_equal(found, expected)
    assert run("embed", *TEXTS, "-o", "out.jsonl", "--no-normalize", "-q").stdout == ""
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    vectors = [json.loads(line)["embedding"] for line in lines]
    assert vectors == model.embed(TEXTS, normalize=False).tolist()
    assert "exists; --force" in one_line_error(run("embed", "x", "-o", "out.npy"), 1)
    assert run("embed", "x", "-o", "out.npy", "--force").returncode == 0
    assert np.load(tmp_path / "out.npy").shape == (1, 256)


def test_refusals(run: Run, model: GPT2) -> None:
    assert "give a TEXT or more" in one_line_error(run("embed"), 2)
    assert "as arguments or in a --file" in one_line_error(run("embed", "x", "-f", "a.txt"), 2)
    assert "in .jsonl or .npy" in one_line_error(run("embed", "x", "-o", "out.csv"), 2)
    assert "layer is 99" in one_line_error(run("embed", "x", "--layer", "99", "-q"), 1)
    long = "word " * (model.n_ctx + 1)
    assert "do not fit a context" in one_line_error(run("embed", long, "-q"), 1)
    assert run("embed", long, "--truncate", "-q").returncode == 0
