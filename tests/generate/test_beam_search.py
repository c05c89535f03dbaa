"""Beam search beside Hugging Face's, and beside a search that computes every beginning anew."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import MODELS, TinyModel, draw_weights, some_tokens, write_gguf

from pygpt2edge import GPT2, ContextLengthError, _core

GOLDEN = Path(__file__).parents[1] / "data" / "model" / "beams.json"
PROMPT = "It is a truth universally acknowledged, that"
# Of few tokens, one of which ends a text, and with a context of more than one page of the cache.
SMALL = TinyModel("small", n_layer=1, n_head=2, n_embd=32, n_inner=64, n_ctx=90, n_vocab=40, seed=5)


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, GPT2]:
    folder = tmp_path_factory.mktemp("models")
    tiny = {}
    for shape in (MODELS["plain"], MODELS["odd-heads"], SMALL):
        path = write_gguf(folder / f"{shape.name}.gguf", shape, draw_weights(shape))
        tiny[shape.name] = GPT2(path, n_threads=1)
    return tiny


def test_hugging_faces_searches(tiny: dict[str, GPT2], monkeypatch: pytest.MonkeyPatch) -> None:
    cases = json.loads(GOLDEN.read_text(encoding="ascii"))
    assert any(text["tokens"][3:] and len(text["tokens"]) < case["max_tokens"]
               for case in cases for text in case["texts"])  # fmt: skip
    for case in cases:
        model, n = tiny[case["model"]], case["num_beams"]
        monkeypatch.setattr(model.tokenizer, "eos_token", case["eos"])
        options = {k: case[k] for k in ("max_tokens", "length_penalty", "early_stopping")}
        found = model.beam_search(case["prompt"], n, n, **options)
        assert [text.tokens for text in found] == [text["tokens"] for text in case["texts"]], case
        scores = [text["score"] for text in case["texts"]]
        assert [text.score for text in found] == pytest.approx(scores, abs=1e-4, rel=1e-4)
        for text in found:
            ended = "length" if len(text.tokens) == case["max_tokens"] else "stop"
            assert text.finish_reason == ended


def naive_search(
    model: GPT2, prompt: list[int], num_beams: int, limit: int, penalty: float, stopping: Any
) -> list[tuple[list[int], float]]:
    """The search as it is defined: every beginning's whole text is computed each time."""

    def logprobs(tokens: list[int]) -> list[tuple[int, float]]:
        session = model.session()
        session.append(prompt + tokens)
        return _core.top_logprobs(session.logits, 0, SMALL.n_vocab)[1]

    beams: list[tuple[list[int], float]] = [([], 0.0)]
    ended: list[tuple[list[int], float]] = []
    for length in itertools.count(1):
        longer = [
            (-(logprob + more), token, rank, tokens)
            for rank, (tokens, logprob) in enumerate(beams)
            for token, more in logprobs(tokens)
        ]
        best = [([*tokens, token], -loss) for loss, token, _, tokens in sorted(longer)]
        best = best[: 2 * num_beams]
        ends = [length == limit or text[-1] == model.tokenizer.eos_token for text, _ in best]
        ended += [
            (text, logprob / length**penalty)
            for (text, logprob), end in list(zip(best, ends, strict=True))[:num_beams]
            if end
        ]
        ended = sorted(ended, key=lambda text: -text[1])[:num_beams]
        beams = [text for text, end in zip(best, ends, strict=True) if not end][:num_beams]
        if length == limit or (len(ended) == num_beams and stopping is True):
            return ended
        hoped_for = limit if stopping == "never" and penalty > 0 else length
        if len(ended) == num_beams and beams[0][1] / hoped_for**penalty <= ended[-1][1]:
            return ended
    raise AssertionError


@settings(deadline=None, max_examples=40)
@given(
    n_prompt=st.sampled_from([1, 5, 60, 63, 64, 83, 90]),
    seed=st.integers(0, 9),
    num_beams=st.integers(1, 5),
    limit=st.integers(1, 9),
    penalty=st.sampled_from([-1.0, 0.0, 0.7, 1.0, 3.0]),
    stopping=st.sampled_from([True, False, "never"]),
    eos=st.integers(0, SMALL.n_vocab - 1),
)
def test_any_search_is_the_naive_one(
    tiny: dict[str, GPT2], n_prompt: int, seed: int, num_beams: int, limit: int, penalty: float,
    stopping: Any, eos: int,
) -> None:  # fmt: skip
    model = tiny["small"]
    model.tokenizer.eos_token = eos
    prompt = some_tokens(SMALL, n_prompt, seed).tolist()
    found = model.beam_search(
        prompt, num_beams, num_beams, max_tokens=limit, length_penalty=penalty,
        early_stopping=stopping,
    )  # fmt: skip
    room = min(limit, SMALL.n_ctx - n_prompt + 1)
    expected = naive_search(model, prompt, num_beams, room, penalty, stopping)
    texts = [text.tokens + [eos] * (text.finish_reason == "stop") for text in found]
    assert texts == [text for text, _ in expected]
    assert [text.score for text in found] == [score for _, score in expected]


def test_one_beam_is_greedy(model: GPT2) -> None:
    for stop in ((), (" nowhere", "n, and th")):
        (found,) = model.beam_search(PROMPT, 1, max_tokens=30, stop=stop)
        greedy = model.generate(PROMPT, max_tokens=30, temperature=0, stop=stop)
        for what in ("text", "tokens", "prompt_tokens", "finish_reason", "stop_string"):
            assert getattr(found, what) == getattr(greedy, what)
    assert greedy.finish_reason == "stop"
    assert greedy.score is None


def test_scores_are_those_of_the_tokens(model: GPT2) -> None:
    for found in model.beam_search(PROMPT, 3, 3, max_tokens=8, length_penalty=0.5):
        session, logprobs = model.session(), []
        session.append(found.prompt_tokens)
        for token in found.tokens:
            logprobs.append(_core.top_logprobs(session.logits, token, 0)[0])
            session.append([token])
        assert found.score == sum(logprobs) / 8**0.5


@pytest.mark.parametrize("stops", [["ld.\n", "\nB", "and"], ["\nB"], [" he is the world", "m"]])
def test_stop_strings_end_texts(model: GPT2, stops: list[str]) -> None:
    found = model.beam_search(PROMPT, 4, 4, max_tokens=12, length_penalty=0.0, stop=stops)
    assert any(text.finish_reason == "stop" for text in found)
    for text in found:
        whole = model.tokenizer.decode(text.tokens)
        if text.stop_string is not None:
            assert text.finish_reason == "stop"
            assert text.stop_string in stops
            assert text.text == whole[: whole.index(text.stop_string)]
            before = model.tokenizer.decode(text.tokens[:-1])
            assert not any(stop in before for stop in stops)
        else:
            assert text.text == whole
            assert not any(stop in whole for stop in stops)


def test_beams_share_memory_and_give_it_back(model: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = model.tokenizer.encode(PROMPT) * 34  # five pages
    page = model.memory["cache"] * 64 // model.n_ctx
    before, most, rows = model.cache_bytes_used, 0, 0
    together = _core.append_together

    def noted(parts: list) -> None:
        nonlocal most, rows
        together(parts)
        most = max(most, model.cache_bytes_used - before)  # looked at when all have what they take
        rows += sum(len(tokens) for _, tokens in parts)

    monkeypatch.setattr(_core, "append_together", noted)
    found = model.beam_search(prompt, 6, max_tokens=10, ignore_eos=True)
    assert len(prompt) > 4 * 64
    assert most <= (len(prompt) // 64 + 6 * 2) * page
    assert model.cache_bytes_used == before
    assert rows == 9 * 6 == found[0].timings.decode_tokens
    assert found[0].timings.prefill_tokens == len(prompt)


def test_contexts_fill_up(model: GPT2) -> None:
    short = GPT2(n_ctx=12)
    prompt = short.tokenizer.encode(PROMPT)
    room = 12 - len(prompt) + 1
    found = short.beam_search(PROMPT, 3, 2, max_tokens=None, ignore_eos=True)
    assert [len(text.tokens) for text in found] == [room, room]
    expected = model.beam_search(PROMPT, 3, 2, max_tokens=room, ignore_eos=True)
    assert [text.tokens for text in found] == [text.tokens for text in expected]
    with pytest.raises(ContextLengthError, match="13 tokens do not fit a context of 12"):
        short.beam_search([5] * 13)


def test_generate_says_where_beams_are(model: GPT2) -> None:
    options: dict[str, Any] = {"num_beams": 3}
    with pytest.raises(TypeError, match=r"use beam_search\(prompt, num_beams=\.\.\.\)"):
        model.generate(PROMPT, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_beams": 0}, "num_beams is 0; give 1 or more"),
        ({"num_beams": 2, "n": 3}, "n is 3; give 1 to num_beams, which is 2"),
        ({"n": 0}, "n is 0; give 1"),
        ({"max_tokens": 0}, "max_tokens is 0; give 1 or more"),
        ({"length_penalty": 51}, "length_penalty is 51; give -50 to 50"),
        ({"length_penalty": float("nan")}, "length_penalty is nan"),
        ({"early_stopping": "soon"}, "early_stopping is 'soon'"),
        ({"early_stopping": 1}, "early_stopping is 1"),
        ({"stop": [""]}, "stop"),
    ],
)
def test_options_out_of_range(model: GPT2, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        model.beam_search(PROMPT, **options)
