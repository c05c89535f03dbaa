"""Texts that end before their time: cancelled, or at a deadline."""

from __future__ import annotations

import threading

import pytest

from pygpt2edge import GPT2, Engine, SamplingParams, _core
from pygpt2edge.generate.stream import stream

PROMPT = "It is a truth universally acknowledged, that"


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=2)


def test_a_text_cancelled_between_its_pieces(model: GPT2) -> None:
    options = {"max_tokens": 30, "seed": 1, "ignore_eos": True}
    generation = model.stream(PROMPT, **options)
    pieces = [next(generation) for _ in range(5)]
    generation.cancel()
    rest = list(generation)
    found = generation.completion()
    assert found.finish_reason == "cancelled"
    assert found.tokens == model.generate(PROMPT, **options).tokens[:5]
    assert "".join(piece.text for piece in [*pieces, *rest]) == found.text


def test_a_text_cancelled_while_another_thread_computes_it(model: GPT2) -> None:
    generation = model.stream(PROMPT, max_tokens=None, context_overflow="slide", ignore_eos=True)
    timer = threading.Timer(0.05, generation.cancel)
    timer.start()
    assert generation.result().finish_reason == "cancelled"  # or it would go on for ever


def test_a_prompt_is_cancelled_while_it_is_read(model: GPT2) -> None:
    """Within a layer: 100,000 tokens would take seconds."""
    generation = model.stream([5] * 100_000, max_tokens=1, context_overflow="slide", discard=1)
    generation.cancel()
    found = generation.result()
    assert (found.finish_reason, found.tokens) == ("cancelled", [])


@pytest.mark.parametrize("prompt", [[5], [5] * 900])
def test_no_time_at_all(model: GPT2, prompt: list[int]) -> None:
    found = model.generate(prompt, max_time=0)
    assert (found.finish_reason, found.tokens, found.text) == ("timeout", [], "")


def test_a_deadline_ends_an_endless_text(model: GPT2) -> None:
    options = {"max_tokens": None, "context_overflow": "slide", "ignore_eos": True, "seed": 1}
    found = model.generate(PROMPT, max_time=0.1, **options)
    assert found.finish_reason == "timeout"
    n = len(found.tokens)
    options["max_tokens"] = n
    assert found.tokens == model.generate(PROMPT, **options).tokens


def test_a_deadline_that_is_not_met_changes_nothing(model: GPT2) -> None:
    options = {"max_tokens": 9, "seed": 1, "ignore_eos": True}
    found = model.generate(PROMPT, max_time=1e30, **options)
    assert (found.finish_reason, found.tokens) == (
        "length",
        model.generate(PROMPT, **options).tokens,
    )


def test_a_cancel_during_another_thread_s_step_is_seen_by_the_next_call(model: GPT2) -> None:
    texts = [
        stream(model, PROMPT, SamplingParams(max_tokens=1000, ignore_eos=True)).core_text
        for _ in range(2)
    ]
    timer = threading.Timer(0.02, texts[0].cancel)
    timer.start()
    while timer.is_alive():
        _core.step_together(texts)
    assert texts[0].finished
    assert texts[0].state().finish_reason == "cancelled"
    assert not texts[1].finished


def test_requests_of_an_engine(model: GPT2) -> None:
    endless = {"max_tokens": 1000, "ignore_eos": True}
    with Engine(model) as engine:
        cancelled = engine.submit("Once", **endless)
        late = engine.submit("Call me", max_time=0.05, **endless)
        other = engine.submit(PROMPT, max_tokens=20, seed=2)
        next(cancelled)
        cancelled.cancel()
        assert cancelled.result().finish_reason == "cancelled"
        assert late.result().finish_reason == "timeout"
        assert other.result().tokens == model.generate(PROMPT, max_tokens=20, seed=2).tokens
        left = engine.submit("Once", **endless)
    assert left.result().finish_reason == "cancelled"  # by the engine's end
