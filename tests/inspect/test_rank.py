"""Ranked candidates are scored as each would be alone; what they share is computed once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygpt2edge import GPT2, ContextLengthError, Ranked, _core
from pygpt2edge.inspect import scoring

PROMPT = "It is a truth universally acknowledged, that"
CANDIDATES = [" a single man", " bananas", " he", " a single man in possession", "", " he"]


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=2)


def rows_of_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each scoring pass from here on."""
    rows: list[int] = []
    scored = _core.append_and_score

    def noted(parts: list) -> list:
        rows.append(sum(len(tokens) for _, tokens, _ in parts))
        return scored(parts)

    monkeypatch.setattr(_core, "append_and_score", noted)
    return rows


def test_scores_are_those_of_whole_texts(model: GPT2) -> None:
    ranked = model.rank(PROMPT, CANDIDATES)
    n_prompt = len(model.tokenizer.encode(PROMPT))
    assert sorted(found.index for found in ranked) == list(range(6))
    assert [r.logprob for r in ranked] == sorted((r.logprob for r in ranked), reverse=True)
    for found in ranked:
        assert found.text == CANDIDATES[found.index]
        assert found.tokens == model.tokenizer.encode(PROMPT + found.text)[n_prompt:]
        scores = model.score(PROMPT + found.text)[n_prompt:].tolist()
        assert found.logprobs == scores
        assert found.logprob == math.fsum(scores)
    assert ranked[0] == Ranked("", 4, 0.0, [], [])
    assert ranked[0].logprob_per_token == 0.0
    assert ranked[1].logprob_per_token == ranked[1].logprob / len(ranked[1].tokens)
    equals = [found.index for found in ranked if found.text == " he"]
    assert equals == [2, 5]


TEXTS = st.text(alphabet="abe th.\n", max_size=12)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(prompt=TEXTS, candidates=st.lists(TEXTS, max_size=20))
def test_any_texts(model: GPT2, prompt: str, candidates: list[str]) -> None:
    """However tokens merge where prompt and candidates meet, and whatever shares the passes."""
    ranked = model.rank(prompt, candidates)
    assert sorted(found.index for found in ranked) == list(range(len(candidates)))
    skipped = set()
    for found in ranked:
        tokens = model.tokenizer.encode(prompt + candidates[found.index])
        skipped.add(tuple(tokens[: len(tokens) - len(found.tokens)]))
        assert tokens[len(tokens) - len(found.tokens) :] == found.tokens
        scores = model.score(tokens)[len(tokens) - len(found.tokens) :]
        assert found.logprobs == scores.tolist()
    assert len(skipped) <= 1  # all leave out the same beginning


def test_tokens_that_merge_at_the_boundary(model: GPT2) -> None:
    encode = model.tokenizer.encode
    assert encode("a wor" + "ld")[-1:] == encode(" world") != encode(" wor")
    ranked = model.rank("a wor", ["ld", "d"])
    assert {found.text: model.tokenizer.decode(found.tokens) for found in ranked} == {
        "ld": " world", "d": " word",
    }  # fmt: skip
    by_text = {found.text: found.logprobs for found in ranked}
    assert by_text["ld"] == model.score("a world")[1:].tolist()
    # Token ids are put together as they are.
    ranked = model.rank(encode("a wor"), ["ld", encode("d")])
    assert {found.text: found.tokens for found in ranked} == {
        "ld": encode("ld"), "d": encode("d"),
    }  # fmt: skip


def test_end_of_text_is_text_unless_allowed(model: GPT2) -> None:
    (plain,) = model.rank("The end.", ["<|endoftext|>"])
    (special,) = model.rank("The end.", ["<|endoftext|>"], allow_special=True)
    assert len(plain.tokens) > 1
    assert special.tokens == [model.tokenizer.eos_token]


def test_the_prompt_is_computed_once(model: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = PROMPT * 20
    rows = rows_of_passes(monkeypatch)
    before = model.cache_bytes_used
    model.rank(prompt, [f" {word} of the {word}" for word in ("house", "sea", "man") * 15])
    # The first token of each candidate is looked up after the prompt, and the last predicts none.
    assert sum(rows) == 45 * 3
    assert max(rows) == 16 * 3
    assert model.cache_bytes_used == before
    rows.clear()
    model.rank(prompt, [" sea", " man"])
    assert sum(rows) == 0


@pytest.mark.slow
def test_passes_and_memory_are_bounded(model: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of_passes(monkeypatch)
    long = [PROMPT * n for n in (9, 40, 1, 90, 17)]
    ranked = model.rank("", long)
    assert max(rows) == scoring.ROWS
    assert rows[:-1] == [scoring.ROWS] * (len(rows) - 1)
    monkeypatch.undo()
    for found in ranked:
        assert found.logprobs == model.score(long[found.index]).tolist()


def test_what_does_not_fit(model: GPT2) -> None:
    short = GPT2(n_ctx=10)
    n = len(model.tokenizer.encode(PROMPT))
    assert n + 1 <= 10
    before = short.cache_bytes_used
    with pytest.raises(ContextLengthError, match=r'candidate 1, " he( he)+": .* context of 10'):
        short.rank(PROMPT, [" he", " he" * 9])
    with pytest.raises(ContextLengthError, match="candidate 0, token ids: "):
        short.rank("", [[5] * 11])
    assert len(short.rank("", [[5] * 10])[0].tokens) == 10  # the last one needs no position
    assert short.cache_bytes_used == before
    with pytest.raises(ContextLengthError, match="12 tokens do not fit a context of 10"):
        short.score([5] * 12)


def test_refusals(model: GPT2) -> None:
    assert model.rank(PROMPT, []) == []
    with pytest.raises(TypeError, match="candidates is one text"):
        model.rank(PROMPT, " he")
    for wrong in ([7, -1], [99999], [99999, 7]):
        with pytest.raises(ValueError, match="vocabulary has the ids 0 to 50256"):
            model.rank(PROMPT, [wrong])


def test_scoring_by_hand(model: GPT2) -> None:
    one, two = model.session(), model.session()
    parts = [(one, [11, 12], [12, 13]), (two, [], []), (one.fork(), [3], [4])]
    scores = _core.append_and_score(parts)
    assert [len(of_part) for of_part in scores] == [2, 0, 1]
    logits = model.logits([11, 12]).astype(np.float64)
    expected = logits[[0, 1], [12, 13]] - np.log(np.exp(logits).sum(axis=1))
    assert scores[0] == pytest.approx(expected, abs=1e-5)
    assert one.tokens == [11, 12]
    assert np.array_equal(one.logits, model.logits([11, 12])[-1])


@pytest.mark.parametrize(
    ("part", "error", "words"),
    [
        (([1, 2], [3]), ValueError, "2 tokens and 1 targets"),
        (([1], [99999]), IndexError, "token 99999 is not in the vocabulary of 50257"),
        (([99999], [1]), ValueError, "token 0 is 99999"),
    ],
)
def test_parts_that_cannot_be_scored(
    model: GPT2, part: tuple[Any, Any], error: type[Exception], words: str
) -> None:
    one, two = model.session(), model.session()
    with pytest.raises(error, match=words):
        _core.append_and_score([(one, [1], [2]), (two, *part)])
    assert (len(one), len(two)) == (0, 0)
