"""POST /v1/completions: what fields mean, and the forms of answers."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import pytest
from running_server import Running, alone

from pygpt2edge import GPT2


def events(server: Running, **body: Any) -> list[dict[str, Any]]:
    """The events of a stream, without the last, which is [DONE]."""
    text = server.post("/v1/completions", {**body, "stream": True}).text
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data:")]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def test_text_is_that_of_the_package(server: Running, model: GPT2) -> None:
    found = server.complete("It is a truth", seed=7)
    assert found["object"] == "text_completion"
    assert found["model"] == "demo"
    [choice] = found["choices"]
    assert choice["text"] == alone(model, "It is a truth", seed=7)
    assert choice["finish_reason"] == "length"
    assert found["usage"] == {"prompt_tokens": 4, "completion_tokens": 16, "total_tokens": 20}


OPTIONS: list[dict[str, Any]] = [
    {"temperature": 0},
    {"temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_p": 0.05, "repetition_penalty": 1.2},
    {"presence_penalty": 1.5, "frequency_penalty": -0.5, "max_tokens": 30},
    {"stop": ["e", "zzz", "yyy", "xxx", "www"], "max_tokens": 40},
    {"logit_bias": {262: 100}, "max_tokens": 3},
    {"ignore_eos": True, "no_repeat_ngram_size": 2, "max_tokens": 40},
]


@pytest.mark.parametrize("options", OPTIONS, ids=",".join)
def test_options_mean_what_they_mean_elsewhere(
    server: Running, model: GPT2, options: dict[str, Any]
) -> None:
    [choice] = server.complete("Once upon a time", seed=3, **options)["choices"]
    assert choice["text"] == alone(model, "Once upon a time", seed=3, **options)


def test_top_k_of_minus_one_is_all(server: Running, model: GPT2) -> None:
    [choice] = server.complete("Once", seed=3, top_k=-1)["choices"]
    assert choice["text"] == alone(model, "Once", seed=3)


def test_null_is_the_default(server: Running, model: GPT2) -> None:
    fields = {"max_tokens": None, "temperature": None, "stop": None, "n": None, "logprobs": None}
    [choice] = server.complete("Once", seed=3, **fields)["choices"]
    assert choice["text"] == alone(model, "Once", seed=3)


def test_prompts_of_every_form(server: Running, model: GPT2) -> None:
    texts = ["It is a truth", "Once upon"]
    ids = [model.tokenizer.encode(text) for text in texts]
    expected = [alone(model, text, seed=1) for text in texts]
    for prompt, n in [(texts[0], 1), (texts, 2), (ids[0], 1), (ids, 2), ([texts[0], ids[1]], 2)]:
        choices = server.complete(prompt, seed=1)["choices"]
        assert [choice["text"] for choice in choices] == expected[:n]
        assert [choice["index"] for choice in choices] == list(range(n))


def test_an_empty_prompt_begins_a_document(server: Running, model: GPT2) -> None:
    found = server.complete("", seed=1, echo=True, logprobs=0)
    [choice] = found["choices"]
    assert choice["text"] == alone(model, "", seed=1)
    assert len(choice["logprobs"]["tokens"]) == found["usage"]["completion_tokens"]


def test_n_texts_have_seeds_in_a_row(server: Running, model: GPT2) -> None:
    found = server.complete(["Once", "It is"], n=2, seed=2**64 - 1)
    expected = [
        alone(model, prompt, seed=seed) for prompt in ("Once", "It is") for seed in (2**64 - 1, 0)
    ]
    assert [choice["text"] for choice in found["choices"]] == expected


def test_best_of_gives_the_most_probable(server: Running, model: GPT2) -> None:
    texts = model.generate("Once", n=5, seed=1, max_tokens=8, temperature=1, top_k=0, logprobs=1)
    means = {
        text.text: math.fsum(token.logprob for token in text.logprobs) / len(text.logprobs)
        for text in texts
    }
    best = sorted(means, key=lambda text: -means[text])[:2]
    found = server.complete("Once", best_of=5, n=2, seed=1, max_tokens=8)
    assert [choice["text"] for choice in found["choices"]] == best
    assert found["usage"]["completion_tokens"] == sum(len(text.tokens) for text in texts)


def test_beams(server: Running, model: GPT2) -> None:
    expected = model.beam_search("It is", 3, 2, max_tokens=6, stop=["\n"])
    found = server.complete("It is", num_beams=3, n=2, max_tokens=6, stop="\n")
    assert [choice["text"] for choice in found["choices"]] == [text.text for text in expected]


def test_echo_gives_the_log_probabilities_of_the_prompt(server: Running, model: GPT2) -> None:
    prompt = "It is a truth universally"
    [choice] = server.complete(prompt, echo=True, logprobs=2, max_tokens=0)["choices"]
    assert choice["text"] == prompt
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == prompt
    assert logprobs["token_logprobs"][0] is None
    assert logprobs["top_logprobs"][0] is None
    assert logprobs["text_offset"] == [0, 2, 5, 7, 13]
    rows = model.logits(prompt)
    ids = model.tokenizer.encode(prompt)
    for i in range(1, len(ids)):
        row = rows[i - 1].astype(float)
        expected = row[ids[i]] - math.log(sum(math.exp(x) for x in row.tolist()))
        assert logprobs["token_logprobs"][i] == pytest.approx(expected, abs=1e-4)
        top = logprobs["top_logprobs"][i]
        assert top[logprobs["tokens"][i]] == logprobs["token_logprobs"][i]
        assert model.tokenizer.decode([int(row.argmax())]) in top


def test_log_probabilities_of_a_long_prompt_are_those_of_its_parts(server: Running) -> None:
    ids = [(i * 7919) % 50000 for i in range(300)]
    whole = server.complete(ids, echo=True, logprobs=0, max_tokens=1)["choices"][0]["logprobs"]
    part = server.complete(ids[:50], echo=True, logprobs=0, max_tokens=0)["choices"][0]["logprobs"]
    assert whole["token_logprobs"][:50] == part["token_logprobs"]
    assert len(whole["tokens"]) == 301


def test_logprobs_of_a_text(server: Running, model: GPT2) -> None:
    expected = model.generate("Once", seed=4, temperature=1, top_k=0, max_tokens=6, logprobs=3)
    [choice] = server.complete("Once", seed=4, max_tokens=6, logprobs=3)["choices"]
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == choice["text"]
    assert logprobs["token_logprobs"] == [token.logprob for token in expected.logprobs]
    for i, token in enumerate(expected.logprobs):
        assert {logprob for _, logprob in token.top} <= set(logprobs["top_logprobs"][i].values())
        assert choice["text"][logprobs["text_offset"][i] :].startswith(logprobs["tokens"][i])


def test_end_of_text_has_a_log_probability(server: Running) -> None:
    """A client counts on max_tokens=1 giving one token, whatever it is."""
    [choice] = server.complete("Once", logit_bias={50256: 100}, logprobs=1)["choices"]
    assert choice["text"] == ""
    assert choice["finish_reason"] == "stop"
    assert choice["logprobs"]["tokens"] == ["<|endoftext|>"]
    assert choice["logprobs"]["token_logprobs"][0] < 0
    [same] = server.complete("Once", logit_bias={50256: 100}, logprobs=1, echo=True)["choices"]
    assert same["logprobs"]["tokens"] == ["Once", "<|endoftext|>"]
    assert same["logprobs"]["token_logprobs"][1] == choice["logprobs"]["token_logprobs"][0]


def test_tokens_that_are_no_characters_have_names(server: Running, model: GPT2) -> None:
    ids = model.tokenizer.encode("𝔾é")
    logprobs = server.complete("𝔾é", echo=True, logprobs=0, max_tokens=0)["choices"][0]["logprobs"]
    assert len(logprobs["tokens"]) == len(ids)
    assert logprobs["tokens"][0].startswith("bytes:\\x")
    assert logprobs["text_offset"][-1] == 1


def test_a_stream_is_the_whole_text(server: Running) -> None:
    body = {"prompt": ["Once", "It is"], "n": 2, "seed": 5, "echo": True, "logprobs": 2}
    whole = server.complete(**body)  # type: ignore[arg-type]
    *found, last = events(server, **body, stream_options={"include_usage": True})
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]
    for expected in whole["choices"]:
        pieces = [
            event["choices"][0]
            for event in found
            if event["choices"][0]["index"] == expected["index"]
        ]
        assert "".join(piece["text"] for piece in pieces) == expected["text"]
        assert [piece["finish_reason"] for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
        assert pieces[-1]["finish_reason"] == expected["finish_reason"]
        for name, values in expected["logprobs"].items():
            given = [piece["logprobs"][name] for piece in pieces if piece["logprobs"]]
            assert [value for part in given for value in part] == values


def test_texts_that_slide(server: Running, model: GPT2) -> None:
    ids = model.tokenizer.encode("word " * 1000)[:1000]
    options: dict[str, Any] = {"max_tokens": 40, "ignore_eos": True, "seed": 1}
    [choice] = server.complete(ids, context_overflow="slide", **options)["choices"]
    assert choice["text"] == alone(model, ids, context_overflow="slide", **options)
    [choice] = server.complete(ids, **options)["choices"]
    assert choice["finish_reason"] == "length"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"temperature": -1}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": 1.5}, "top_p"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 10**9}, "max_tokens"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**64}, "seed"),
    ({"n": 0}, "n"),
    ({"n": 3, "best_of": 2}, "best_of"),
    ({"n": 1000}, "n"),
    ({"best_of": 2, "stream": True}, "best_of"),
    ({"logprobs": -1}, "logprobs"),
    ({"logprobs": 10**6}, "logprobs"),
    ({"suffix": "the end"}, "suffix"),
    ({"stop": ""}, "stop"),
    ({"stop": ["x"] * 100}, "stop"),
    ({"logit_bias": {"60000": 1}}, "logit_bias"),
    ({"logit_bias": {"the": 1}}, "logit_bias"),
    ({"prompt": []}, "prompt"),
    ({"prompt": [1, "one"]}, "prompt"),
    ({"prompt": [[1], [60000]]}, "prompt"),
    ({"prompt": [-1]}, "prompt"),
    ({"prompt": None}, "prompt"),
    ({"prompt": "x " * 2000}, "prompt"),
    ({"temprature": 1}, "temprature"),
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"num_beams": 0}, "num_beams"),
    ({"num_beams": 2, "n": 3}, "n"),
    ({"num_beams": 2, "top_p": 0.5}, "top_p"),
    ({"num_beams": 2, "early_stopping": "soon"}, "early_stopping"),
    ({"context_overflow": "wrap"}, "context_overflow"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=lambda value: str(value)[:40])
def test_errors_name_the_field(server: Running, fields: dict[str, Any], param: str) -> None:
    answer = server.post("/v1/completions", {"prompt": "Once", **fields})
    assert answer.status_code == 400, answer.text[:300]
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param, error
    assert len(error["message"]) < 300
    assert "\n" not in error["message"]


def test_another_model_is_not_found(server: Running) -> None:
    answer = server.post("/v1/completions", {"prompt": "Once", "model": "gpt-5"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


def test_paths_and_methods(server: Running) -> None:
    for method, path, status in [("GET", "/v1/nothing", 404), ("GET", "/v1/completions", 405)]:
        answer = httpx.request(method, server.url + path)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]
