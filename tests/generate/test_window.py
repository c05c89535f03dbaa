"""Texts longer than the context: what the model sees is the beginning and the end of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from pygpt2edge import GPT2, ContextLengthError, _core

PROMPT = "It is a truth universally acknowledged, that"


@pytest.fixture(scope="module")
def demo() -> GPT2:
    return GPT2(n_threads=2, n_ctx=128)


def naive(model: GPT2, text: list[int], seed: int, keep: int, discard: int) -> Iterator[int]:
    """Encodes what is in view anew whenever the context is full."""
    sampler = _core.Sampler(seed=seed)
    session, text = model.session(), list(text)
    session.append(text)
    while True:
        token = session.sample(sampler)
        yield token
        if len(session) == model.n_ctx:
            session = model.session()
            n_last = model.n_ctx - keep - discard
            session.append(text[:keep] + text[-n_last:])
        text.append(token)
        session.append([token])


@pytest.mark.slow
@pytest.mark.parametrize(("keep", "discard"), [(0, 64), (0, 127), (12, 66), (0, 1), (27, 1)])
def test_equal_to_encoding_anew(demo: GPT2, keep: int, discard: int) -> None:
    prompt = demo.tokenizer.encode(PROMPT) * 4
    out = demo.generate(
        prompt, max_tokens=500, seed=7, ignore_eos=True,
        context_overflow="slide", keep=keep, discard=discard,
    )  # fmt: skip
    assert out.tokens == list(itertools.islice(naive(demo, prompt, 7, keep, discard), 500))


def test_a_prompt_longer_than_the_context(demo: GPT2) -> None:
    prompt = demo.tokenizer.encode(PROMPT) * 40
    with pytest.raises(ContextLengthError):
        demo.generate(prompt, max_tokens=5)
    out = demo.generate(
        prompt, max_tokens=200, seed=1, context_overflow="slide", discard=64, ignore_eos=True
    )
    assert len(out.tokens) == 200


def test_all_of_the_prompt_is_kept(demo: GPT2) -> None:
    """As llama.cpp's --keep -1."""
    options = {"max_tokens": 300, "seed": 2, "context_overflow": "slide", "ignore_eos": True}
    n = len(demo.tokenizer.encode(PROMPT))
    found = demo.generate(PROMPT, keep=-1, **options)
    assert found.tokens == demo.generate(PROMPT, keep=n, **options).tokens
    assert found.tokens != demo.generate(PROMPT, keep=0, **options).tokens


def test_what_happens_when_the_context_is_full(demo: GPT2) -> None:
    assert demo.generate(PROMPT, max_tokens=None, ignore_eos=True).finish_reason == "length"
    with pytest.raises(ContextLengthError, match=r"context of 128 tokens is full.*slide"):
        demo.generate(PROMPT, max_tokens=None, ignore_eos=True, context_overflow="error")
    with pytest.raises(ValueError, match=r"context_overflow is 'grow'.*slide"):
        demo.generate(PROMPT, context_overflow="grow")


@pytest.mark.parametrize(("keep", "discard"), [(0, 128), (128, 1), (100, 28)])
def test_windows_without_room(demo: GPT2, keep: int, discard: int) -> None:
    with pytest.raises(ValueError, match=rf"keep is {keep} and discard {discard}; .*128"):
        demo.generate(PROMPT, context_overflow="slide", keep=keep, discard=discard)


@pytest.mark.parametrize(("n_last", "keep"), [(64, 0), (1, 0), (200, 0), (100, 140)])
def test_memory_goes_round(n_last: int, keep: int) -> None:
    """A context has 9 pages of 64 positions, the next one's beginning up to 4. Whole pages of kept
    tokens are there once."""
    model = GPT2(n_threads=2, n_ctx=9 * 64)
    page = model.memory["cache"] // 9
    expected = 9 - keep // 64 + -(-(n_last + keep) // 64)
    stream = model.stream(
        [5] * 600, max_tokens=1500, seed=3, context_overflow="slide",
        keep=keep, discard=9 * 64 - keep - n_last, ignore_eos=True,
    )  # fmt: skip
    most = 0
    for i, _ in enumerate(stream):
        most = max(most, model.cache_bytes_used // page)
        if i == 700:
            after_a_round = model.cache_bytes_used
    assert most <= expected
    assert model.cache_bytes_used == after_a_round
    del stream
    assert model.cache_bytes_used == 0
