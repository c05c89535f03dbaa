"""Texts through the C library are those of Python, byte for byte."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from c_library import CError, ffi

from pygpt2edge import GPT2

PROMPT = "It is a truth"
OPTIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.0},
    {"top_k": 0, "top_p": 0.9, "min_p": 0.01},
    {"typical_p": 0.5, "top_k": 100},
    {"xtc_probability": 0.5, "xtc_threshold": 0.05},
    {"repetition_penalty": 1.3, "frequency_penalty": 0.4, "presence_penalty": -0.2},
    {"repetition_penalty": 1.3, "penalty_last_n": 4},
    {"no_repeat_ngram_size": 2, "temperature": 0.0},
    {"dry_multiplier": 0.8, "dry_base": 1.5, "dry_allowed_length": 1, "dry_penalty_last_n": 50},
    {"dry_multiplier": 0.8, "dry_sequence_breakers": ["the", "\n"]},
    {"dry_multiplier": 0.8, "dry_sequence_breakers": []},
    {"suppress_tokens": [262, 290], "begin_suppress_tokens": [284]},
    {"forced_first_token": 284},
    {"logit_bias": {262: 5.0, 290: float("-inf")}},
    {"stop": ["\n", " of"]},
    {"min_tokens": 20, "stop": ["\n"]},
    {"max_tokens": 0},
    {"ignore_eos": True, "max_tokens": 200},
    {"prompt_lookup": True, "max_draft_tokens": 4, "temperature": 0.0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options) or "defaults")
def test_text_is_that_of_python(
    library: Any, model: Any, python_model: GPT2, options: dict[str, Any]
) -> None:
    given = {"max_tokens": 40, "seed": 2**63 + 7} | options
    expected = python_model.generate(PROMPT, **given)
    text = library.text(model, PROMPT, **given)
    assert library.rest(text) == expected.text
    assert list(library.array("int32_t", "text_tokens", text)) == expected.tokens
    state = library.state(text)
    reasons = ["none", "stop", "length", "timeout", "cancelled"]
    assert reasons[state.finish_reason] == expected.finish_reason
    assert (state.finished, state.seed) == (1, 2**63 + 7)
    assert state.n_prompt == len(python_model.tokenizer.encode(PROMPT))
    library.call("text_close", text)


def test_every_option_of_python_is_there(library: Any) -> None:
    from dataclasses import fields

    from pygpt2edge import SamplingParams

    known = {name for name, _ in ffi.typeof("gpt2edge_text_options").fields}
    several = {"n"}  # C opens as many texts, each with its seed
    by_a_package = {"regex", "json_schema", "grammar", "token_healing", "add_special_tokens"}
    assert {field.name for field in fields(SamplingParams)} - several - by_a_package <= known


def test_defaults_are_those_of_python(library: Any) -> None:
    from pygpt2edge import SamplingParams

    given, params = library.options(), SamplingParams()
    for name, field in ffi.typeof("gpt2edge_text_options").fields:
        value = getattr(params, name, None)
        if isinstance(value, int | float):
            assert getattr(given, name) == value, name
        elif value is None and field.type.kind == "primitive" and hasattr(params, name):
            assert getattr(given, name) in (-1, 0), name  # a seed is 0, and not used


def test_empty_prompt_tokens_and_special_ones(library: Any, model: Any, python_model: GPT2) -> None:
    options = {"max_tokens": 12, "seed": 1}
    for prompt in ("", [], [464, 1110], "one<|endoftext|>two"):
        text = library.text(model, prompt, **options)
        assert library.rest(text) == python_model.generate(prompt, **options).text
    special = library.text(model, "one<|endoftext|>two", allow_special=1, **options)
    expected = python_model.generate("one<|endoftext|>two", allow_special=True, **options)
    assert library.rest(special) == expected.text


def test_without_a_seed_one_is_drawn(library: Any, model: Any) -> None:
    texts = [library.text(model, PROMPT, max_tokens=1) for _ in range(2)]
    first, second = (library.state(text).seed for text in texts)
    assert first != second


def test_log_probabilities(library: Any, model: Any, python_model: GPT2) -> None:
    expected = python_model.generate(PROMPT, max_tokens=8, seed=3, logprobs=4).logprobs
    text = library.text(model, PROMPT, max_tokens=8, seed=3, logprobs=4)
    assert expected is not None
    for each in expected:
        piece = library.piece(text)
        assert (piece.token, piece.logprob) == (each.token, each.logprob)
        found = [(piece.top[i].token, piece.top[i].logprob) for i in range(piece.n_top)]
        assert found == [tuple(top) for top in each.top]


def test_context_slides(library: Any, python_model: GPT2) -> None:
    options = {
        "max_tokens": 150, "seed": 5, "context_overflow": "slide", "keep": -1, "discard": 20,
        "ignore_eos": True,
    }  # fmt: skip
    small = library.model(python_model.path, n_ctx=64, kv_type=library.c.GPT2EDGE_KV_INT8)
    expected = GPT2(python_model.path, n_ctx=64, kv_type="int8").generate(PROMPT, **options)
    assert library.rest(library.text(small, PROMPT, **options)) == expected.text
    error = library.text(small, PROMPT, max_tokens=-1, context_overflow="error", ignore_eos=True)
    with pytest.raises(CError, match="64") as raised:
        library.rest(error)
    assert raised.value.status == library.c.GPT2EDGE_ERROR_CONTEXT_LENGTH
    library.call("model_close", small)
    library.call("text_close", error)  # it has kept the model


def test_draft_model(library: Any, model: Any, demo_in_f32: Path) -> None:
    options = {"max_tokens": 60, "seed": 4, "ignore_eos": True}
    large = library.model(demo_in_f32, n_threads=2)
    text = library.text(large, PROMPT, draft_model=model, **options)
    assert library.rest(text) == GPT2(demo_in_f32).generate(PROMPT, **options).text
    assert library.state(text).accepted_tokens > 0
    library.call("text_close", text)
    library.call("model_close", large)


def test_run_gives_each_piece_and_a_function_can_cancel(
    library: Any, model: Any, python_model: GPT2
) -> None:
    seen: list[bytes] = []

    @ffi.callback("int32_t(void*, const gpt2edge_piece*)")
    def keep(_: Any, piece: Any) -> int:
        seen.append(ffi.buffer(piece.text, piece.n_text)[:])
        return len(seen) == 5

    expected = python_model.generate(PROMPT, max_tokens=5, seed=1)
    text = library.text(model, PROMPT, max_tokens=50, seed=1)
    library.call("text_run", text, keep, ffi.NULL)
    assert b"".join(seen).decode() == expected.text
    assert library.state(text).finish_reason == library.c.GPT2EDGE_FINISH_CANCELLED
    library.call("text_run", library.text(model, PROMPT, max_tokens=3), ffi.NULL, ffi.NULL)


def test_logits_processor(library: Any, model: Any, python_model: GPT2) -> None:
    def only_one(logits: Any, tokens: Any) -> None:
        logits[: 100 + len(tokens)] = -1e9
        logits[100 + len(tokens) + 1 :] = -1e9

    @ffi.callback("void(void*, float*, size_t, const int32_t*, size_t)")
    def process(_: Any, logits: Any, n_vocab: int, __: Any, n_tokens: int) -> None:
        for i in range(n_vocab):
            if i != 100 + n_tokens:
                logits[i] = -1e9

    options = {"max_tokens": 3, "seed": 1}
    expected = python_model.generate(PROMPT, logits_processor=only_one, **options)
    text = library.text(model, PROMPT, logits_processor=process, **options)
    library.call("text_run", text, ffi.NULL, ffi.NULL)
    assert list(library.array("int32_t", "text_tokens", text)) == expected.tokens


def test_cancel_from_another_thread(library: Any, model: Any) -> None:
    text = library.text(model, PROMPT, max_tokens=-1, context_overflow="slide", ignore_eos=True)
    thread = threading.Thread(target=library.rest, args=(text,))
    thread.start()
    library.call("text_cancel", text)
    thread.join(timeout=60)
    assert not thread.is_alive()
    assert library.state(text).finish_reason == library.c.GPT2EDGE_FINISH_CANCELLED


def test_many_texts_in_one_pass(library: Any, model: Any, python_model: GPT2) -> None:
    prompts = ["It is", "Once upon a time", "The", "How now"]
    texts = [library.text(model, p, max_tokens=20, seed=i) for i, p in enumerate(prompts)]
    handles = ffi.new("gpt2edge_text*[]", texts)
    parts: list[list[bytes]] = [[] for _ in prompts]
    while not all(library.state(text).finished for text in texts):
        library.call("text_step", handles, len(texts))
        for text, pieces in zip(texts, parts, strict=True):
            while (piece := library.piece(text, "text_take")) is not None:
                pieces.append(ffi.buffer(piece.text, piece.n_text)[:])
    for i, (prompt, pieces) in enumerate(zip(prompts, parts, strict=True)):
        expected = python_model.generate(prompt, max_tokens=20, seed=i).text
        assert b"".join(pieces).decode() == expected
    with pytest.raises(CError, match="twice"):
        library.call("text_step", [texts[0], texts[0]], 2)


def test_saved_text_goes_on(library: Any, model: Any, python_model: GPT2, tmp_path: Path) -> None:
    expected = python_model.generate(PROMPT, max_tokens=30, seed=9)
    text = library.text(model, PROMPT, max_tokens=30, seed=9)
    for _ in range(10):
        library.piece(text)
    path = tmp_path / "text ü.p2e"
    path.write_bytes(b"an older file")
    library.call("text_save", text, bytes(path))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    resumed = library.made("text", "text_resume", model, bytes(path), -1)
    library.rest(resumed)
    assert library.array("char", "text_bytes", resumed).decode() == expected.text
    assert python_model.resume(path).result().text == expected.text  # what C saved, Python resumes
    with pytest.raises(CError) as raised:
        library.call("text_save", text, bytes(tmp_path / "none" / "text.p2e"))
    assert raised.value.status == library.c.GPT2EDGE_ERROR_FILE


def test_a_constrained_text_does_not_go_on(
    library: Any, model: Any, python_model: GPT2, tmp_path: Path
) -> None:
    pytest.importorskip("llguidance", reason="needs llguidance, of the constrain extra")
    text = python_model.stream(PROMPT, regex="[a-z ]+")
    next(text)
    text.save(tmp_path / "text.p2e")
    with pytest.raises(CError, match="kept to a regex, a json_schema or a grammar: go on in Py"):
        library.made("text", "text_resume", model, bytes(tmp_path / "text.p2e"), -1)
