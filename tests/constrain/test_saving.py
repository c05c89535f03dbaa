"""A constrained text that is saved goes on as it would have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from equal_texts import same

from pygpt2edge import GPT2, FormatError, SamplingParams
from pygpt2edge.constrain.saving import resumed_constraint

pytest.importorskip("llguidance", reason="needs llguidance, of the constrain extra")

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 9}, "married": {"type": "boolean"}},
    "required": ["name", "married"],
    "additionalProperties": False,
}
# A prompt that is healed, with a text that may write its end again; and forced tokens.
TEXTS: list[tuple[str, dict[str, Any]]] = [
    ("It is a truth universally acknowledged, that ", {"regex": "[a-z]+( [a-z]+){2,5}!"}),
    ("The link is http:", {"regex": "//[a-z]{3,6}\\.(com|org)/[a-z]{2,8}\\.html is new"}),
    ("Mr. Bingley:", {"json_schema": PERSON}),
    ("A list:", {"grammar": 'root ::= ("\\n- " [a-z]{2,9})+ "\\n"'}),
]


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=1)


@pytest.mark.parametrize(("prompt", "language"), TEXTS, ids=str)
def test_a_saved_text_goes_on(
    model: GPT2, prompt: str, language: dict[str, Any], tmp_path: Path
) -> None:
    options = {"seed": 2, "logprobs": 2, "temperature": 1.2, "max_tokens": 30, **language}
    whole = model.generate(prompt, **options)
    path = tmp_path / "text.p2e"
    draft = GPT2(n_threads=1)
    n_saved = 0
    for n in range(len(whole.tokens)):
        # Cut by max_tokens, also among forced tokens; or after so many steps.
        cut = model.stream(prompt, **options | {"max_tokens": max(1, n)})
        cut.result()
        stepped = model.stream(prompt, **options)
        for _ in range(n):
            next(stepped)
        for generation in (cut, stepped):
            if generation.completion().finish_reason == "stop":  # forced to its end in one step
                continue
            generation.save(path)
            n_saved += 1
            n_more = 30 - len(generation.completion().tokens)
            for drafts in ({}, {"draft_model": draft}) if n % 3 == 0 else ({},):
                resumed = model.resume(path, max_tokens=n_more, **drafts)
                assert resumed.completion().text == generation.completion().text
                assert same(resumed.result(), whole)
    assert n_saved >= len(whole.tokens)
    given = SamplingParams(**language)
    assert resumed.params.language == given.language


def test_a_saved_text_is_saved_again(model: GPT2, tmp_path: Path) -> None:
    prompt, language = TEXTS[0]
    options = {"seed": 4, "temperature": 1.2, **language}
    whole = model.generate(prompt, max_tokens=30, **options)
    path = tmp_path / "text.p2e"
    text = model.stream(prompt, max_tokens=1, **options)
    text.result()
    text.save(path)
    while len(text.completion().tokens) < len(whole.tokens) - 1:
        text = model.resume(path, max_tokens=1)
        text.result()
        text.save(path)
    assert same(model.resume(path, max_tokens=30).result(), whole)


def test_a_complete_text_is_not_saved(model: GPT2, tmp_path: Path) -> None:
    text = model.stream("Was she happy?", regex=" (yes|no)", seed=1)
    assert text.result().finish_reason == "stop"
    with pytest.raises(ValueError, match="the text has ended"):
        text.save(tmp_path / "text.p2e")


def state(**changed: Any) -> bytes:
    fields = {"option": "regex", "source": " [a-z]+", "repeated": [], "tokens": [262]} | changed
    return json.dumps(fields).encode()


WRONG = [
    (b"\xff", "decode"),
    (b"[1", "Expecting"),
    (b"[" * 100_000, "recursion"),
    (b"7", "found 7, expected regex, json_schema or grammar"),
    (state(option="seed"), "expected regex, json_schema or grammar"),
    (state(source=7), "regex is 7, expected a text"),
    (state(source="a(b"), "unclosed group"),
    (state(source="a" * 70_000), "70,000 characters"),
    (state(tokens="a"), "found 'a', expected tokens of the vocabulary"),
    (state(tokens=[True]), "expected tokens of the vocabulary"),
    (state(tokens=[10**6]), "expected tokens of the vocabulary"),
    (state(repeated=[-1]), "expected tokens of the vocabulary"),
    (state(repeated=[262] * 9), "cannot be written again"),
    (state(repeated=[50256]), "cannot be written again"),
    (state(tokens=[]), "not those of the text"),
    (state(tokens=[263]), "not those of the text"),
    (state(repeated=[1, 2], tokens=[1, 2, 262]), "not those of the text"),
    (state(repeated=[345, 345], tokens=[262]), "do not write the prompt's end"),
    (state(source="[0-9]+"), "its tokens are not of the regex"),
]


@pytest.mark.parametrize(("saved", "words"), WRONG, ids=lambda value: f"{value!s:.40}")
def test_what_makes_no_sense_is_refused(model: GPT2, saved: bytes, words: str) -> None:
    assert model.tokenizer.decode([262]) == " the"
    assert resumed_constraint(model.tokenizer, state(), [5, 6], [262]).n_repeated == 0
    with pytest.raises(FormatError, match=f"constraint makes no sense: .*{words}"):
        resumed_constraint(model.tokenizer, saved, [5, 6], [262])
