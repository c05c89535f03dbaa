"""Sampling options in whole texts: batches, drafts and saving change nothing about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pygpt2edge import GPT2, _core

PROMPT = "It is a truth universally acknowledged, that it is a truth"
# Every option at once, of a kind that often has an effect.
ALL: dict[str, Any] = {
    "seed": 5, "ignore_eos": True, "top_k": 0, "typical_p": 0.95, "xtc_probability": 0.5,
    "xtc_threshold": 0.05, "repetition_penalty": 1.1, "frequency_penalty": 0.3,
    "presence_penalty": 0.2, "penalty_last_n": 50, "dry_multiplier": 0.8, "dry_base": 1.5,
    "dry_allowed_length": 1, "dry_penalty_last_n": 60, "dry_sequence_breakers": ["\n", ", t"],
    "no_repeat_ngram_size": 3, "min_tokens": 3, "suppress_tokens": [11],
    "begin_suppress_tokens": [13], "logit_bias": {198: -2.0}, "min_p": 0.001,
}  # fmt: skip


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=2, n_ctx=128)


def text_of(
    model: GPT2, speculation: _core.SpeculationOptions | None = None, **options: Any
) -> _core.Text:
    return _core.Text(
        model.core_model, model.tokenizer.tables, model.contexts, model.tokenizer.encode(PROMPT),
        _core.TextOptions(**options), speculation or _core.SpeculationOptions(),
    )  # fmt: skip


def tokens_of(text: _core.Text) -> list[int]:
    text.run()
    return text.state().tokens


def drafts(model: GPT2) -> _core.SpeculationOptions:
    """The model drafts for itself, four at a time."""
    return _core.SpeculationOptions(
        prompt_lookup=True, draft=model.core_model, draft_tables=model.tokenizer.tables,
        draft_contexts=model.contexts, min_draft=4, max_draft=4,
    )  # fmt: skip


def test_drafts_and_batches_do_not_change_the_text(model: GPT2) -> None:
    expected = tokens_of(text_of(model, **ALL, max_tokens=50))
    assert expected != tokens_of(text_of(model, seed=5, ignore_eos=True, max_tokens=50))
    drafted = text_of(model, drafts(model), **ALL, max_tokens=50)
    assert tokens_of(drafted) == expected
    assert drafted.state().timings["accepted_tokens"] > 0
    together = [text_of(model, **ALL, max_tokens=50), text_of(model, seed=1), text_of(model)]
    while not all(text.finished for text in together):
        _core.step_together(together)
    assert together[0].state().tokens == expected


@pytest.mark.parametrize("n", [0, 1, 20])
def test_a_saved_text_goes_on_with_all_of_them(model: GPT2, n: int, tmp_path: Path) -> None:
    options = ALL | ({"forced_first_token": 262} if n == 0 else {})
    text = text_of(model, **options, max_tokens=40)
    for _ in range(n):
        text.next()
    with (tmp_path / "text").open("wb") as file:
        text.save(file.write)
    resumed = _core.Text.resume(
        str(tmp_path / "text"), model.core_model, model.tokenizer.tables, model.contexts
    )
    for name, value in options.items():
        found = getattr(resumed.options, name)
        assert found == (pytest.approx(value) if isinstance(value, float) else value), name
    assert tokens_of(resumed) == tokens_of(text_of(model, **options, max_tokens=40))


def test_the_first_token(model: GPT2) -> None:
    first = tokens_of(text_of(model, temperature=0, max_tokens=3))
    other = tokens_of(text_of(model, temperature=0, max_tokens=3, begin_suppress_tokens=first[:1]))
    assert other[0] != first[0]
    never = tokens_of(text_of(model, temperature=0, max_tokens=30, suppress_tokens=first))
    assert not set(first) & set(never)
    assert tokens_of(text_of(model, forced_first_token=1000, max_tokens=2))[0] == 1000


def test_min_tokens_holds_back_the_end_of_a_text(model: GPT2) -> None:
    eos = model.tokenizer.tables.eos_token
    assert eos is not None
    ends = {"temperature": 0, "logit_bias": {eos: 100.0}, "max_tokens": 20}
    assert tokens_of(text_of(model, **ends)) == []
    held = text_of(model, **ends, min_tokens=7)
    assert len(tokens_of(held)) == 7
    assert held.state().finish_reason == "stop"
    # Where that token does not end a text, nothing holds it back.
    assert tokens_of(text_of(model, **ends, min_tokens=7, ignore_eos=True))[0] == eos


def test_min_tokens_holds_back_stop_strings(model: GPT2) -> None:
    options = {"temperature": 0, "max_tokens": 40, "ignore_eos": True}
    tokens = model.generate(PROMPT, **options).tokens
    texts = [model.tokenizer.decode([token]) for token in tokens]
    letter = texts[0].strip()[0]  # which comes again later, in another token
    counts = [i + 1 for i, text in enumerate(texts) if letter in text]
    assert len(counts) > 2
    for before, after in ((0, counts[0]), (counts[0], counts[1]), (counts[1], counts[2])):
        found = model.generate(PROMPT, **options, stop=letter, min_tokens=before)
        assert (found.finish_reason, len(found.tokens)) == ("stop", after)
        assert found.text == "".join(texts[:after]).rpartition(letter)[0]
    # A stop string that began within the first tokens and ends after them counts.
    n = next(i for i in range(2, 39) if texts[i].startswith(" ") and len(texts[i]) > 1)
    across = texts[n - 1][-1] + texts[n][:2]
    found = model.generate(PROMPT, **options, stop=across, min_tokens=n)
    assert (len(found.tokens), found.stop_string) == (n + 1, across)
    none = model.generate(PROMPT, **options, stop=across, min_tokens=40)
    assert (none.finish_reason, none.tokens) == ("length", tokens)


def test_a_logits_processor_sees_each_text_once(model: GPT2) -> None:
    lengths: list[int] = []

    def processor(logits: NDArray[np.float32], text: NDArray[np.int32]) -> None:
        lengths.append(len(text))
        logits[text[-1]] += 1.0

    options = ALL | {"logits_processor": processor, "max_tokens": 20}
    n_prompt = len(model.tokenizer.encode(PROMPT))
    expected = tokens_of(text_of(model, **options))
    assert lengths == list(range(n_prompt, n_prompt + 20))
    lengths.clear()
    assert tokens_of(text_of(model, drafts(model), **options)) == expected
    assert lengths == list(range(n_prompt, n_prompt + 20))
    text = text_of(model, **options)
    assert text.options.logits_processor is processor
    with pytest.raises(ValueError, match="logits_processor, which is code and cannot be saved"):
        text.save(lambda _: None)


def test_an_exception_of_a_logits_processor_ends_its_text(model: GPT2) -> None:
    def processor(_: NDArray[np.float32], text: NDArray[np.int32]) -> None:
        if len(text) == len(model.tokenizer.encode(PROMPT)) + 2:
            raise KeyError("mine")

    broken = text_of(model, logits_processor=processor, seed=1)
    sound = text_of(model, seed=1, max_tokens=5)
    while not (broken.finished and sound.finished):
        _core.step_together([broken, sound])
    assert len(sound.state().tokens) == 5
    assert len(broken.state().tokens) == 2
    for _ in range(2):
        with pytest.raises(KeyError, match="mine") as raised:
            broken.run()
        assert raised.traceback[-1].name == "processor"
