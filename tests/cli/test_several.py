"""`pygpt2edge generate --n` and `--num-beams`: several texts, and the most probable ones."""

from __future__ import annotations

import json

import pytest

from pygpt2edge import GPT2

from .conftest import Run, one_line_error

PROMPT = "Once upon a time"


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2()


def printed(texts: list[str]) -> str:
    return "---\n".join(text if text.endswith("\n") else text + "\n" for text in texts)


def test_texts_with_the_seeds_that_follow(run: Run, model: GPT2) -> None:
    done = run("generate", PROMPT, "--n", "3", "-n", "9", "--seed", "5")
    expected = [model.generate(PROMPT, max_tokens=9, seed=seed).text for seed in (5, 6, 7)]
    assert done.stdout == printed([PROMPT + text for text in expected])
    assert done.stderr.splitlines()[1:] == ["seed 5", "seed 6", "seed 7"]
    quiet = run("generate", PROMPT, "--n", "3", "-n", "9", "--seed", "5", "-q", "--no-echo")
    assert quiet.stdout == printed(expected)
    assert quiet.stderr == ""


def test_beams(run: Run, model: GPT2) -> None:
    done = run("generate", PROMPT, "--num-beams", "4", "--n", "2", "-n", "7", "--stop", "king")
    expected = model.beam_search(PROMPT, 4, 2, max_tokens=7, stop="king")
    assert done.stdout == printed([PROMPT + text.text for text in expected])
    scores = [f"score {text.score:.4f}" for text in expected]
    assert done.stderr.splitlines()[1:] == scores
    one = run("generate", PROMPT, "--num-beams", "4", "-n", "7", "--stop", "king", "-q")
    assert one.stdout == printed([PROMPT + expected[0].text])


@pytest.mark.parametrize("beams", [1, 3])
def test_json_has_all_texts(run: Run, model: GPT2, beams: int) -> None:
    args = ["--num-beams", "3"] if beams > 1 else ["--seed", "4", "--logprobs", "2"]
    done = run("generate", PROMPT, "--n", "2", "-n", "6", "--json", *args)
    result = json.loads(done.stdout)
    assert done.stderr == ""
    if beams > 1:
        expected = model.beam_search(PROMPT, 3, 2, max_tokens=6)
    else:
        expected = model.generate(PROMPT, n=2, max_tokens=6, seed=4, logprobs=2)
    assert result["prompt_tokens"] == expected[0].prompt_tokens
    assert result["options"]["max_tokens"] == 6
    for found, text in zip(result["completions"], expected, strict=True):
        for name in ("text", "tokens", "finish_reason", "seed", "score"):
            assert found[name] == getattr(text, name)
        assert len(found["logprobs"]) == len(text.logprobs)


def test_logprobs_of_each_go_to_stderr(run: Run) -> None:
    done = run("generate", PROMPT, "--n", "2", "-n", "3", "--seed", "1", "--logprobs", "1", "-q")
    assert done.stderr.count("most likely") == 2


def test_refusals(run: Run) -> None:
    drawn = run("generate", PROMPT, "--num-beams", "3", "--top-k", "9")
    assert "--top-k does not go with --num-beams" in one_line_error(drawn, 2)
    many = run("generate", PROMPT, "--num-beams", "3", "--n", "4")
    assert "--n is 4; of 3 beams" in one_line_error(many, 2)
    assert "0 is out of range" in one_line_error(run("generate", PROMPT, "--n", "0"), 2)
