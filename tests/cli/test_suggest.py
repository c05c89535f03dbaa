"""`pygpt2edge suggest`: the words that probably come next."""

from __future__ import annotations

import json

import pytest

from pygpt2edge import GPT2

from .conftest import Run, one_line_error

TEXT = "It is a truth universally acknow"


def test_a_table_of_words(run: Run) -> None:
    done = run("suggest", TEXT)
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    best = GPT2().suggest(TEXT, 5)
    assert rows == [[found.word, f"{found.probability:.1%}"] for found in best]
    assert "demo model" in done.stderr
    assert run("suggest", TEXT, "-q").stderr == ""


def test_json_has_the_completions(run: Run) -> None:
    done = run("suggest", TEXT, "-k", "1", "--json")
    result = json.loads(done.stdout)
    assert result["text"] == TEXT
    (found,) = result["suggestions"]
    assert (found["word"], found["completion"]) == ("acknowledged", "ledged")
    assert 0.5 < found["probability"] < 1
    assert done.stderr == ""


def test_text_from_stdin_loses_the_newline_at_its_end(run: Run) -> None:
    assert run("suggest", "-", input=TEXT + "\n").stdout == run("suggest", TEXT).stdout


def test_no_suggestion_is_no_error(run: Run) -> None:
    done = run("suggest", "a" * 65)
    assert (done.returncode, done.stdout) == (0, "")
    assert "No word" in done.stderr


@pytest.mark.parametrize("k", ["0", "-1", "many"])
def test_how_many(run: Run, k: str) -> None:
    assert "-k" in one_line_error(run("suggest", TEXT, "-k", k), 2)


def test_text_must_be_given(run: Run) -> None:
    assert "TEXT" in one_line_error(run("suggest"), 2)
