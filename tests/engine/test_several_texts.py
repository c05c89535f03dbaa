"""Several texts after one prompt: each is what it would be alone, and the prompt is read once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygpt2edge import GPT2, Completion, ContextLengthError, _core

PROMPT = "It is a truth universally acknowledged, that"


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=2, n_ctx=256)


def same(found: Completion, expected: Completion) -> bool:
    what = ("text", "tokens", "finish_reason", "stop_string", "seed", "prompt_tokens", "logprobs")
    return all(getattr(found, name) == getattr(expected, name) for name in what)


SLIDE = {"context_overflow": "slide", "keep": 3, "discard": 153, "ignore_eos": True}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        (PROMPT, {"temperature": 1.3, "logprobs": 2}),
        (PROMPT, {"stop": [" the", "\n"], "repetition_penalty": 1.2}),
        (PROMPT, {"temperature": 0}),
        ("", {"max_tokens": 0}),
        ("<|endoftext|>It", {"allow_special": True}),
        ([7], {"max_tokens": None}),
        (PROMPT, {**SLIDE, "max_tokens": 400}),
        (PROMPT * 22, {**SLIDE, "max_tokens": 150}),  # the next window has begun
        (PROMPT * 60, {**SLIDE, "max_tokens": 100}),  # the window has slid
    ],
)
def test_texts_are_those_of_single_calls(
    model: GPT2, prompt: str | list[int], options: dict
) -> None:
    options = {"max_tokens": 20, **options}
    before = model.cache_bytes_used
    found = model.generate(prompt, n=3, seed=2**64 - 2, **options)
    seeds = [2**64 - 2, 2**64 - 1, 0]
    for text, seed in zip(found, seeds, strict=True):
        assert same(text, model.generate(prompt, seed=seed, **options))
    assert model.cache_bytes_used == before


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(n=st.integers(1, 18), n_prompt=st.integers(1, 140))
def test_any_number(model: GPT2, n: int, n_prompt: int) -> None:
    prompt = (model.tokenizer.encode(PROMPT) * 20)[:n_prompt]
    found = model.generate(prompt, n=n, max_tokens=5, seed=n_prompt)
    assert len(found) == n
    for i, text in enumerate(found):
        assert same(text, model.generate(prompt, max_tokens=5, seed=n_prompt + i))


def test_several_texts_of_several_prompts(model: GPT2) -> None:
    prompts: list[str | list[int]] = [PROMPT, "Once upon a time", [7, 8]]
    found = model.generate(prompts, n=2, max_tokens=5, seed=3)
    for prompt, texts in zip(prompts, found, strict=True):
        for text, seed in zip(texts, (3, 4), strict=True):
            assert same(text, model.generate(prompt, max_tokens=5, seed=seed))
    (alone,) = model.generate(PROMPT, n=1, max_tokens=5, seed=3)
    assert same(alone, found[0][0])


def test_a_drawn_seed_is_told(model: GPT2) -> None:
    first, second = model.generate(PROMPT, n=2, max_tokens=9)
    assert second.seed == (first.seed + 1) % 2**64
    assert same(model.generate(PROMPT, max_tokens=9, seed=second.seed), second)


def test_the_prompt_is_read_once(model: GPT2, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = model.tokenizer.encode(PROMPT) * 20
    page = model.memory["cache"] * 64 // model.n_ctx
    most, together = [], _core.step_together

    def noted(texts: list) -> None:
        together(texts)
        most.append(model.cache_bytes_used)

    monkeypatch.setattr(_core, "step_together", noted)
    before = model.cache_bytes_used
    texts = model.generate(prompt, n=8, max_tokens=6, ignore_eos=True, seed=1)
    # Each text computes the prompt's last token, and all of its own but the last one.
    assert [text.timings.prefill_tokens for text in texts] == [1] * 8
    assert [text.timings.decode_tokens for text in texts] == [5] * 8
    # Two pages of the prompt are shared; each text has the third and may begin a fourth.
    assert max(most) - before <= (3 + 2 * 8) * page


def test_refusals(model: GPT2) -> None:
    with pytest.raises(TypeError, match=r"stream\(\) has no option 'n': use generate\(prompt, n="):
        model.stream(PROMPT, n=2)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="n is 0; give 1 or more"):
        model.generate(PROMPT, n=0)
    with pytest.raises(ValueError, match="seed is -1"):
        model.generate(PROMPT, n=2, seed=-1)
    with pytest.raises(ValueError, match="max_tokens is -1"):
        model.generate(PROMPT, n=2, max_tokens=-1)
    with pytest.raises(ContextLengthError, match="do not fit a context of 256"):
        model.generate([5] * 257, n=2)
