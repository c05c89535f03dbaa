"""`pygpt2edge rank`: candidates in, the most probable first out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pygpt2edge import GPT2

from .conftest import Run, one_line_error

PROMPT = "God save the"
CANDIDATES = [" cabbage", " king", " queen of all"]


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2()


def test_a_table_of_what_the_api_finds(run: Run, model: GPT2) -> None:
    done = run("rank", PROMPT, *CANDIDATES)
    assert done.returncode == 0
    assert "demo model" in done.stderr
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["logprob", "per", "token", "candidate"]
    for row, found in zip(rows, model.rank(PROMPT, CANDIDATES), strict=True):
        logprob, per_token, text = row.split(maxsplit=2)
        assert logprob == f"{found.logprob:.3f}"
        assert per_token == f"{found.logprob_per_token:.3f}"
        assert text == repr(found.text)


def test_json(run: Run, model: GPT2) -> None:
    done = run("rank", PROMPT, *CANDIDATES, "--json")
    assert done.stderr == ""
    result = json.loads(done.stdout)
    assert result["prompt"] == PROMPT
    for entry, found in zip(result["candidates"], model.rank(PROMPT, CANDIDATES), strict=True):
        assert entry == {
            "text": found.text, "index": found.index, "logprob": found.logprob,
            "logprob_per_token": found.logprob_per_token, "tokens": found.tokens,
            "logprobs": found.logprobs,
        }  # fmt: skip


@pytest.mark.parametrize("way", ["file", "stdin", "dash"])
def test_candidates_one_a_line(run: Run, tmp_path: Path, way: str) -> None:
    lines = "\r\n".join(["", *CANDIDATES, "", ""])
    (tmp_path / "words.txt").write_bytes(lines.encode())
    args = {"file": ["-f", "words.txt"], "stdin": [], "dash": ["--file", "-"]}[way]
    done = run("rank", PROMPT, "--json", *args, input=lines)
    assert done.stdout == run("rank", PROMPT, "--json", *CANDIDATES).stdout


def test_refusals(run: Run) -> None:
    assert "give a CANDIDATE" in one_line_error(run("rank", PROMPT), 2)
    both = run("rank", PROMPT, " king", "-f", "words.txt")
    assert "arguments or in a --file" in one_line_error(both, 2)
    assert "nowhere.txt" in one_line_error(run("rank", PROMPT, "-f", "nowhere.txt"), 1)
    long = run("rank", PROMPT, " king", " king" * 9, "-c", "8")
    assert 'candidate 1, " king king' in one_line_error(long, 1)
