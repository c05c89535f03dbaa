"""Guesses change how fast a text comes, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import TinyModel, draw_weights, write_gguf

from pygpt2edge import GPT2, Completion, Engine, _core
from pygpt2edge.generation import GenerateOptions, Generation
from pygpt2edge.speculation import MAX_GUESSES, Draft, Pace, PromptLookup, Speculation

PROMPT = "It is a truth universally acknowledged, that"
# A model that soon repeats itself, and one of the same vocabulary to guess for it.
SHAPE = TinyModel("speculates", n_layer=2, n_head=2, n_embd=64, n_inner=64, n_ctx=80)
SMALL = TinyModel("guesses", n_layer=1, n_head=2, n_embd=32, n_inner=64, n_ctx=80, seed=2)
SHORT = TinyModel("short", n_layer=1, n_head=2, n_embd=32, n_inner=64, n_ctx=30, seed=2)
OTHER = TinyModel("other", n_layer=1, n_head=2, n_embd=32, n_inner=64, n_vocab=299)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, GPT2]:
    folder = tmp_path_factory.mktemp("models")
    return {
        shape.name: GPT2(
            write_gguf(folder / f"{shape.name}.gguf", shape, draw_weights(shape), "q8_0"),
            n_threads=1,
        )
        for shape in (SHAPE, SMALL, SHORT, OTHER)
    }


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses are made whether they pay or not: 4, then 15, then 1, and so on."""
    numbers = itertools.cycle([4, MAX_GUESSES, 1])
    monkeypatch.setattr(Pace, "n_guesses", lambda self: next(numbers))


def same(found: Completion, expected: Completion) -> bool:
    what = ("text", "tokens", "finish_reason", "stop_string", "logprobs")
    return all(getattr(found, name) == getattr(expected, name) for name in what)


OPTIONS = [
    {"temperature": 0},
    {"temperature": 0.3},
    {"temperature": 1.5, "top_k": 0, "logprobs": 2},
    {"temperature": 0, "repetition_penalty": 1.3},
    {"temperature": 0.5, "ignore_eos": False, "logit_bias": {299: 3.0}},
    {"temperature": 0, "stop": ("\x07", "a")},
    {"max_tokens": None},
    {"max_tokens": 0},
    {"max_tokens": 1},
    {"context_overflow": "slide", "keep": 20, "max_tokens": 300, "temperature": 0.3},
    {"context_overflow": "slide", "keep": 9, "pin": 40, "max_tokens": 300, "temperature": 0},
]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(
    "guessing", ["lookup", "speculates", "guesses", "short", "lookup and guesses"]
)
def test_texts_are_the_plain_ones(tiny: dict[str, GPT2], options: dict, guessing: str) -> None:
    model = tiny["speculates"]
    options = {"max_tokens": 60, "ignore_eos": True, "seed": 5, **options}
    how: dict = {"prompt_lookup": "lookup" in guessing}
    draft = guessing.removeprefix("lookup").removeprefix(" and ")
    if draft == "short" and "keep" in options:
        options |= {"keep": 5, "pin": 3}
    how["draft"] = tiny[draft] if draft else None
    for prompt in ([7, 8, 9] * 4, [3]):
        found = model.generate(prompt, **options, **how)
        assert same(found, model.generate(prompt, **options))


@pytest.mark.usefixtures("always")
def test_a_draft_that_is_the_model_itself_is_always_right(tiny: dict[str, GPT2]) -> None:
    """Also under sampling: it draws with the same random numbers."""
    model = tiny["speculates"]
    out = model.generate([5], max_tokens=61, seed=1, ignore_eos=True, top_k=0, draft=model)
    took = out.timings
    assert took.accepted_tokens == took.guessed_tokens > 40
    assert took.decode_tokens == 60
    assert took.decode_passes == 60 - took.accepted_tokens


class Anything:
    """Guesses that hypothesis makes, of which some are what will come."""

    def __init__(self, data: st.DataObject, coming: Sequence[int]) -> None:
        self._data, self._coming = data, coming

    def guess(self, text: Sequence[int], n: int, sampler: _core.Sampler) -> list[int]:
        right = self._data.draw(st.integers(0, n))
        wrong = self._data.draw(st.lists(st.integers(0, 299), max_size=n - right))
        return [*self._coming[len(text) :][:right], *wrong]


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(data=st.data(), keep=st.integers(1, 50), pin=st.integers(0, 25), n=st.integers(1, 200))
def test_any_guesses(
    tiny: dict[str, GPT2], data: st.DataObject, keep: int, pin: int, n: int
) -> None:
    model = tiny["speculates"]
    options = {"context_overflow": "slide", "keep": keep, "pin": pin, "max_tokens": n, "seed": 3}
    prompt = [1, 2, 3]
    expected = model.generate(prompt, **options, ignore_eos=True)
    generation = model.stream(prompt, **options, ignore_eos=True)
    coming = prompt + expected.tokens
    generation.speculation = Speculation([Anything(data, coming)], MAX_GUESSES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Pace, "n_guesses", lambda self: data.draw(st.integers(0, MAX_GUESSES)))
        for _ in generation:
            pass
    assert generation.completion().tokens == expected.tokens


@pytest.mark.usefixtures("always")
def test_in_a_batch(tiny: dict[str, GPT2]) -> None:
    model = tiny["speculates"]
    options = {"max_tokens": 40, "temperature": 0.3, "ignore_eos": True}
    prompts = [[i, 2, i, 2] * 5 for i in range(9)]
    with Engine(model, max_batch=4) as engine:
        requests = [
            engine.submit(p, seed=i, prompt_lookup=i % 2 == 0,
                          draft=tiny["guesses"] if i % 3 == 0 else None, **options)
            for i, p in enumerate(prompts)
        ]  # fmt: skip
        for i, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
            assert same(request.result(), model.generate(prompt, seed=i, **options))


@pytest.mark.usefixtures("always")
def test_saved_and_resumed(tiny: dict[str, GPT2], tmp_path: Path) -> None:
    model = tiny["speculates"]
    options = {"max_tokens": 150, "seed": 2, "ignore_eos": True, "temperature": 0.3}
    options |= {"context_overflow": "slide", "keep": 30}
    generation = model.stream([4, 5], prompt_lookup=True, **options)
    for _ in range(70):
        next(generation)
    # Some of what was computed together may not have been read yet; it is saved all the same.
    generation.save(tmp_path / "text")
    resumed = model.resume(tmp_path / "text", draft=tiny["guesses"])
    for _ in resumed:
        pass
    assert resumed.completion().tokens == model.generate([4, 5], **options).tokens


@settings(deadline=None, max_examples=25)
@given(
    steps=st.lists(
        st.tuples(st.integers(1, 15), st.integers(0, 15), st.integers(0, 299)),
        min_size=10,
        max_size=30,
    ),
    keep=st.integers(1, 19),
    pin=st.integers(0, 9),
)
def test_a_draft_that_slides_stays_in_step(
    tiny: dict[str, GPT2], steps: list[tuple[int, int, int]], keep: int, pin: int
) -> None:
    """However many guesses were right: its contexts are those of the text and its guesses."""
    model = tiny["short"]
    options = GenerateOptions(context_overflow="slide", keep=keep, pin=pin)
    window, text = model.window(options), [1, 2]
    draft = Draft(window)
    for n, right, token in steps:
        guesses = draft.guess(text, n, _core.Sampler())
        fresh = model.window(options)
        fresh.append(text + guesses[:-1])
        assert [s.tokens for s in window.sessions] == [s.tokens for s in fresh.sessions]
        text += [*guesses[:right], token]


def test_lookup_goes_on_with_what_repeats() -> None:
    sampler, lookup = _core.Sampler(), PromptLookup()
    assert lookup.guess([1, 2, 3], 5, sampler) == []
    assert lookup.guess([1, 2, 3, 4, 1, 2], 3, sampler) == [3, 4, 1]
    assert lookup.guess([1, 2, 3, 4, 1, 2], 7, sampler) == [3, 4, 1, 2, 3, 4, 1]
    # The longest match wins over a later, shorter one.
    text = [9, 1, 2, 5, 0, 8, 1, 2, 6, 0, 9, 1, 2]
    assert lookup.guess([1, 2, 3, 4, 1, 2, *text], 2, sampler) == [5, 0]


def spend(pace: Pace, right: float, per_row: float, guess_s: float, passes: int = 400) -> list[int]:
    """A pass of 1 + n rows takes 1 + per_row * n; each guess is right with that probability."""
    random, numbers = np.random.default_rng(1), []
    for _ in range(passes):
        n = pace.n_guesses()
        if n > 0:
            pace.note_guesses(n, guess_s * n)
        hits = random.random(n) < right
        n_right = n if hits.all() else int(hits.argmin())
        pace.note_pass(n, n_right, 1 + per_row * n)
        numbers.append(n)
    return numbers[passes // 2 :]


def test_pace_finds_what_pays() -> None:
    assert np.median(spend(Pace(15), right=0.98, per_row=0.02, guess_s=0)) >= 10
    assert 1 <= np.median(spend(Pace(15), right=0.7, per_row=0.05, guess_s=0.05)) <= 6
    # Where every guess costs as much as it gives, or is wrong, few passes have any.
    assert np.mean(spend(Pace(15), right=0.5, per_row=0.1, guess_s=0.8)) < 0.2
    assert np.mean(spend(Pace(15), right=0.02, per_row=0.1, guess_s=0)) < 0.2


def test_what_does_not_fit(tiny: dict[str, GPT2]) -> None:
    model = tiny["speculates"]
    with pytest.raises(ValueError, match="draft other.gguf has another vocabulary"):
        model.generate([1], draft=tiny["other"])
    for n in (0, 16):
        with pytest.raises(ValueError, match=f"max_guesses is {n}; give 1 to 15"):
            model.generate([1], prompt_lookup=True, max_guesses=n)


def test_the_draft_need_not_have_the_models_context(tiny: dict[str, GPT2]) -> None:
    """Where the draft's context is full, the text goes on without it."""
    model = tiny["speculates"]
    with pytest.raises(ValueError, match="keep is 40 and pin 0; .*context of 30 tokens"):
        model.generate([1], draft=tiny["short"], context_overflow="slide", keep=40)
    options = {"max_tokens": 70, "seed": 1, "ignore_eos": True}
    out = model.generate([1, 2], draft=tiny["short"], **options)
    assert out.tokens == model.generate([1, 2], **options).tokens


def test_the_generation_says_what_it_does(tiny: dict[str, GPT2]) -> None:
    generation = tiny["speculates"].stream([1, 2], max_tokens=4)
    assert isinstance(generation, Generation)
    assert generation.speculation is None
    list(generation)
    assert generation.completion().timings.guessed_tokens == 0
