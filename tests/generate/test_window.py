"""Texts longer than the context: what the model sees is the beginning and the end of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import TinyModel, draw_weights, write_gguf

from pygpt2edge import GPT2, ContextLengthError, _core
from pygpt2edge.window import SlidingWindow

PROMPT = "It is a truth universally acknowledged, that"
SHAPE = TinyModel("slides", n_layer=2, n_head=2, n_embd=32, n_inner=64, n_ctx=40, n_vocab=50)


@pytest.fixture(scope="module")
def demo() -> GPT2:
    return GPT2(n_threads=2, n_ctx=128)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> _core.Model:
    path = tmp_path_factory.mktemp("models") / "slides.gguf"
    return _core.Model(str(write_gguf(path, SHAPE, draw_weights(SHAPE), "q8_0")), 1)


def naive(model: GPT2, text: list[int], seed: int, keep: int, pin: int) -> Iterator[int]:
    """Encodes what is in view anew whenever the context is full."""
    sampler = _core.Sampler(seed=seed)
    session, text = model.session(), list(text)
    session.append(text)
    while True:
        token = session.sample(sampler)
        yield token
        if len(session) == model.n_ctx:
            session = model.session()
            session.append(text[:pin] + text[-keep:])
        text.append(token)
        session.append([token])


@pytest.mark.slow
@pytest.mark.parametrize(("keep", "pin"), [(64, 0), (1, 0), (50, 12), (127, 0), (100, 27)])
def test_equal_to_encoding_anew(demo: GPT2, keep: int, pin: int) -> None:
    prompt = demo.tokenizer.encode(PROMPT) * 4
    out = demo.generate(
        prompt, max_tokens=500, seed=7, ignore_eos=True,
        context_overflow="slide", keep=keep, pin=pin,
    )  # fmt: skip
    assert out.tokens == list(itertools.islice(naive(demo, prompt, 7, keep, pin), 500))


@settings(deadline=None, max_examples=60)
@given(data=st.data(), keep=st.integers(1, 30), pin=st.integers(0, 9))
def test_any_portions(tiny: _core.Model, data: st.DataObject, keep: int, pin: int) -> None:
    """However a text comes, in ones or in hundreds, the model sees the same of it."""
    portions = data.draw(st.lists(st.integers(1, 150), min_size=1, max_size=8))
    text = [(7 * i * i + i) % SHAPE.n_vocab for i in range(sum(portions))]
    window = SlidingWindow(lambda: _core.Session(tiny), keep, pin)
    stride = SHAPE.n_ctx - keep - pin
    n = 0
    for portion in portions:
        window.append(text[n : n + portion])
        n += portion
        begins = max(0, -((SHAPE.n_ctx - n) // stride)) * stride
        so_far = text[:n]
        assert window.session.tokens == so_far[:pin] + so_far[pin + begins :]
    expected = _core.Session(tiny)
    expected.append(window.session.tokens)
    assert (window.session.logits == expected.logits).all()


def test_a_prompt_longer_than_the_context(demo: GPT2) -> None:
    prompt = demo.tokenizer.encode(PROMPT) * 40
    with pytest.raises(ContextLengthError):
        demo.generate(prompt, max_tokens=5)
    out = demo.generate(
        prompt, max_tokens=200, seed=1, context_overflow="slide", keep=64, ignore_eos=True
    )
    assert len(out.tokens) == 200


def test_what_happens_when_the_context_is_full(demo: GPT2) -> None:
    assert demo.generate(PROMPT, max_tokens=None, ignore_eos=True).finish_reason == "length"
    with pytest.raises(ContextLengthError, match=r"context of 128 tokens is full.*slide"):
        demo.generate(PROMPT, max_tokens=None, ignore_eos=True, context_overflow="error")
    with pytest.raises(ValueError, match=r'context_overflow is "grow".*"slide"'):
        demo.generate(PROMPT, context_overflow="grow")


@pytest.mark.parametrize(("keep", "pin"), [(0, 0), (128, 0), (100, 28), (10, -1)])
def test_windows_without_room(demo: GPT2, keep: int, pin: int) -> None:
    with pytest.raises(ValueError, match=rf"keep is {keep} and pin {pin}; .*128"):
        demo.generate(PROMPT, context_overflow="slide", keep=keep, pin=pin)


def test_a_second_context_that_does_not_fit(demo: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "available_memory", lambda: demo.memory["cache"] - 1)
    with pytest.raises(MemoryError, match=r"second context of 1 MB.*kv_type=\"int8\""):
        demo.stream(PROMPT, context_overflow="slide")
    demo.generate(PROMPT, max_tokens=1)


def test_memory_stays_that_of_two_contexts(demo: GPT2, tmp_path: Path) -> None:
    before, most = demo.cache_bytes_used, 0
    stream = demo.stream(
        PROMPT, max_tokens=600, seed=3, context_overflow="slide", keep=64, ignore_eos=True
    )
    for _ in stream:
        most = max(most, demo.cache_bytes_used)
    assert most - before <= 2 * demo.memory["cache"]
