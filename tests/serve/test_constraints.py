"""Texts that keep to a form: OpenAI's, vLLM's and llama.cpp's fields."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from running_server import Running, alone

from pygpt2edge import GPT2

pytest.importorskip("llguidance", reason="needs llguidance")

SCHEMA = {
    "type": "object",
    "properties": {"sky": {"enum": ["blue", "grey"]}},
    "required": ["sky"],
    "additionalProperties": False,
}
REGEX = "(yes|no), [0-9]{3}"
GRAMMAR = 'root ::= "red" | "green"'

SAME: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"regex": REGEX}, {"regex": REGEX}),
    ({"guided_regex": REGEX}, {"regex": REGEX}),
    ({"json_schema": SCHEMA}, {"json_schema": SCHEMA}),
    ({"guided_json": SCHEMA}, {"json_schema": SCHEMA}),
    ({"guided_json": json.dumps(SCHEMA)}, {"json_schema": SCHEMA}),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
     {"json_schema": SCHEMA}),
    ({"response_format": {"type": "json_object"}}, {"json_schema": {"type": "object"}}),
    ({"response_format": {"type": "text"}}, {}),
    ({"grammar": GRAMMAR}, {"grammar": GRAMMAR}),
    ({"guided_grammar": GRAMMAR}, {"grammar": GRAMMAR}),
    ({"guided_choice": [" red", " a [b]{2} (c)?\n"]}, {"regex": r"( red| a \[b\]\{2\} \(c\)\?\n)"}),
    ({"structured_outputs": {"choice": ["x.y", "x|"]}}, {"regex": "(x[.]y|x[|])"}),
    ({"structured_outputs": {"regex": REGEX}}, {"regex": REGEX}),
    ({"structured_outputs": {"json": SCHEMA, "choice": None}}, {"json_schema": SCHEMA}),
    ({"structured_outputs": {"json_object": True}}, {"json_schema": {"type": "object"}}),
    ({"structured_outputs": {"grammar": GRAMMAR}}, {"grammar": GRAMMAR}),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "options"), SAME, ids=lambda value: str(value)[:40])
def test_fields_are_options_of_the_text(
    server: Running, model: GPT2, fields: dict[str, Any], options: dict[str, Any]
) -> None:
    [choice] = server.complete("The sky is", seed=1, max_tokens=24, **fields)["choices"]
    assert choice["text"] == alone(model, "The sky is", seed=1, max_tokens=24, **options)


def test_texts_keep_to_the_form(server: Running) -> None:
    found = server.complete("Is it?", regex=REGEX, n=3, seed=1)["choices"]
    assert all(re.fullmatch(REGEX, choice["text"]) for choice in found)
    assert [choice["finish_reason"] for choice in found] == ["stop"] * 3
    assert json.loads(server.complete("x", guided_json=SCHEMA)["choices"][0]["text"])["sky"]


def test_a_prompt_that_ends_within_a_token(server: Running, model: GPT2) -> None:
    """Text is healed, token ids are not; counts and offsets are of what follows the prompt."""
    options: dict[str, Any] = {"regex": "[a-z]+", "temperature": 0, "max_tokens": 4, "logprobs": 1}
    prompt = "It is a "
    tokens = model.tokenizer.encode(prompt)
    plain = server.complete(tokens, **options)["choices"][0]
    assert plain["text"] == alone(model, tokens, **options)
    answer = server.complete(prompt, **options)
    [choice] = answer["choices"]
    assert choice["text"] == alone(model, prompt, **options) != plain["text"]
    assert answer["usage"]["prompt_tokens"] == len(tokens)
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == choice["text"]
    assert logprobs["text_offset"][:2] == [0, len(logprobs["tokens"][0])]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"regex": "("}, "regex"),
    ({"guided_json": "{"}, "guided_json"),
    ({"guided_grammar": 5}, "guided_grammar"),
    ({"response_format": {"type": "xml"}}, "response_format"),
    ({"response_format": {"type": "json_schema"}}, "response_format"),
    ({"regex": "a", "guided_json": SCHEMA}, "guided_json"),
    ({"regex": "a", "num_beams": 2}, "regex"),
    ({"guided_choice": []}, "guided_choice"),
    ({"guided_choice": "a"}, "guided_choice"),
    ({"structured_outputs": {}}, "structured_outputs"),
    ({"structured_outputs": {"regex": "a", "json": SCHEMA}}, "structured_outputs.json"),
    ({"structured_outputs": {"structural_tag": "a"}}, "structured_outputs"),
    ({"structured_outputs": {"regex": "a"}, "guided_choice": ["a"]}, "structured_outputs.regex"),
    ({"structured_outputs": {"regex": "a"}, "num_beams": 2}, "structured_outputs"),
    ({"guided_regex": "a", "num_beams": 2}, "guided_regex"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=lambda value: str(value)[:40])
def test_errors_name_the_field(server: Running, fields: dict[str, Any], param: str) -> None:
    answer = server.post("/v1/completions", {"prompt": "Once", **fields})
    assert answer.status_code == 400, answer.text[:300]
    assert answer.json()["error"]["param"] == param, answer.text[:300]
