"""Drafts change how fast a text comes, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_models import TinyModel, draw_weights, write_gguf

from pygpt2edge import GPT2, Completion, Engine, Generation, _core
from pygpt2edge.generate.stream import text_options
from pygpt2edge.options import MAX_DRAFT_TOKENS, SamplingParams

PROMPT = "It is a truth universally acknowledged, that"
# A model that soon repeats itself, and others of the same vocabulary to draft for it.
SHAPE = TinyModel("speculates", n_layer=2, n_head=2, n_embd=64, n_inner=64, n_ctx=80)
SMALL = TinyModel("drafts", n_layer=1, n_head=2, n_embd=32, n_inner=64, n_ctx=80, seed=2)
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


def always_drafting(
    model: GPT2,
    prompt: Sequence[int],
    n_draft: int,
    *,
    draft_model: GPT2 | None = None,
    prompt_lookup: bool = False,
    **options: Any,
) -> Generation:
    """`GPT2.stream`, with so many draft tokens at a time, whether they pay or not."""
    how: dict[str, Any] = {"prompt_lookup": prompt_lookup}
    how |= {"min_draft": n_draft, "max_draft": n_draft}
    if draft_model is not None:
        how |= {"draft": draft_model.core_model, "draft_tables": draft_model.tokenizer.tables}
        how |= {"draft_contexts": draft_model.contexts}
    text = _core.Text(
        model.core_model, model.tokenizer.tables, model.contexts, prompt,
        text_options(SamplingParams(**options)), _core.SpeculationOptions(**how),
    )  # fmt: skip
    return Generation(model, text)


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
    {"context_overflow": "slide", "discard": 60, "max_tokens": 300, "temperature": 0.3},
    {"context_overflow": "slide", "keep": 40, "discard": 31, "max_tokens": 300, "temperature": 0},
]


@pytest.mark.parametrize("n_draft", [1, 4, MAX_DRAFT_TOKENS])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(
    "drafter", ["lookup", "speculates", "drafts", "short", "lookup and drafts"]
)
def test_texts_are_the_plain_ones(
    tiny: dict[str, GPT2], options: dict, drafter: str, n_draft: int
) -> None:
    model = tiny["speculates"]
    options = {"max_tokens": 60, "ignore_eos": True, "seed": 5, **options}
    how: dict = {"prompt_lookup": "lookup" in drafter}
    draft = drafter.removeprefix("lookup").removeprefix(" and ")
    how["draft_model"] = tiny[draft] if draft else None
    for prompt in ([7, 8, 9] * 4, [3]):
        found = always_drafting(model, prompt, n_draft, **options, **how).result()
        assert same(found, model.generate(prompt, **options))


def test_a_draft_that_is_the_model_itself_is_always_right(tiny: dict[str, GPT2]) -> None:
    """Also under sampling: it draws with the same random numbers."""
    model = tiny["speculates"]
    options = {"max_tokens": 61, "seed": 1, "ignore_eos": True, "top_k": 0}
    out = always_drafting(model, [5], 4, draft_model=model, **options).result()
    took = out.timings
    assert took.accepted_tokens == took.draft_tokens > 40
    assert took.decode_tokens == 60
    assert took.decode_passes == 60 - took.accepted_tokens


@pytest.mark.parametrize("drafter", ["lookup", "drafts"])
def test_drafts_that_are_made_as_they_pay(tiny: dict[str, GPT2], drafter: str) -> None:
    """How many there are follows what they gain, which no text depends on."""
    model = tiny["speculates"]
    options = {"max_tokens": 75, "temperature": 0.3, "ignore_eos": True, "seed": 4}
    how = {"prompt_lookup": True} if drafter == "lookup" else {"draft_model": tiny[drafter]}
    assert same(model.generate([7, 8] * 2, **options, **how), model.generate([7, 8] * 2, **options))


def test_in_a_batch(tiny: dict[str, GPT2]) -> None:
    model = tiny["speculates"]
    options = {"max_tokens": 40, "temperature": 0.3, "ignore_eos": True}
    prompts = [[i, 2, i, 2] * 5 for i in range(9)]
    with Engine(model, max_batch=4) as engine:
        requests = [
            engine.submit(p, seed=i, prompt_lookup=i % 2 == 0,
                          draft_model=tiny["drafts"] if i % 3 == 0 else None, **options)
            for i, p in enumerate(prompts)
        ]  # fmt: skip
        for i, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
            assert same(request.result(), model.generate(prompt, seed=i, **options))


def test_saved_and_resumed(tiny: dict[str, GPT2], tmp_path: Path) -> None:
    model = tiny["speculates"]
    options = {"max_tokens": 150, "seed": 2, "ignore_eos": True, "temperature": 0.3}
    options |= {"context_overflow": "slide", "discard": 50}
    generation = always_drafting(model, [4, 5], 5, prompt_lookup=True, **options)
    for _ in range(70):
        next(generation)
    # Some of what was computed together may not have been read yet; it is saved all the same.
    generation.save(tmp_path / "text")
    resumed = model.resume(tmp_path / "text", draft_model=tiny["drafts"])
    assert resumed.result().tokens == model.generate([4, 5], **options).tokens


def test_what_does_not_fit(tiny: dict[str, GPT2]) -> None:
    model = tiny["speculates"]
    with pytest.raises(ValueError, match="draft other.gguf has another vocabulary"):
        model.generate([1], draft_model=tiny["other"])
    for n in (0, 16):
        with pytest.raises(ValueError, match=f"max_draft_tokens is {n}; give 1 to 15"):
            model.generate([1], prompt_lookup=True, max_draft_tokens=n)


def test_the_draft_need_not_have_the_models_context(tiny: dict[str, GPT2]) -> None:
    """Where the draft's context is full, the text goes on without it."""
    model = tiny["speculates"]
    options = {"max_tokens": 70, "seed": 1, "ignore_eos": True}
    out = model.generate([1, 2], draft_model=tiny["short"], **options)
    assert out.tokens == model.generate([1, 2], **options).tokens


def test_a_text_without_drafts(tiny: dict[str, GPT2]) -> None:
    assert tiny["speculates"].stream([1, 2], max_tokens=4).result().timings.draft_tokens == 0
