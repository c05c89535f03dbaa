"""A constrained text is of its language, and the same to the bit however it is computed."""

from __future__ import annotations

import json
import math
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from equal_texts import same
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_models import TinyModel, draw_weights, write_gguf

from pygpt2edge import GPT2, Engine, Generation, _core
from pygpt2edge.constrain.constraint import constraint_for
from pygpt2edge.constrain.language import Language, matcher_of
from pygpt2edge.generate.stream import text_options
from pygpt2edge.options import SamplingParams

pytest.importorskip("llguidance", reason="needs llguidance, of the constrain extra")
jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema, of the test extra")

PROMPT = "It is a truth universally acknowledged, that"
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"enum": ["rich", "poor"]}, "maxItems": 2},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
LIST = 'root ::= item ("," item)*\nitem ::= [a-z] [a-z]? [a-z]?\n'
LANGUAGES: list[dict[str, Any]] = [
    {"regex": r"\([0-9]{3}\) [0-9]{3}-[0-9]{4}"},
    {"regex": r" [a-z]+( [a-z]+){2,5}\."},
    {"regex": "(abc|abd)(x[0-9])+!"},
    {"regex": "é[à-ü]{2,4}漢?"},
    {"json_schema": PERSON},
    {"grammar": LIST},
    {"grammar": 'start: (WORD " and ")+ "so on"\nWORD: /[a-z]{2,6}/\n'},
]


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=1)


def is_of(text: str, language: dict[str, Any]) -> bool:
    """By the judges of other projects, or by hand."""
    if "regex" in language:
        return re.fullmatch(language["regex"], text) is not None
    if "json_schema" in language:
        jsonschema.validate(json.loads(text), PERSON)
        return json.dumps(json.loads(text), ensure_ascii=False) == text
    if language["grammar"] == LIST:
        return re.fullmatch("[a-z]{1,3}(,[a-z]{1,3})*", text) is not None
    return re.fullmatch("([a-z]{2,6} and )+so on", text) is not None


@pytest.mark.parametrize("language", LANGUAGES, ids=str)
def test_texts_are_of_their_language(model: GPT2, language: dict[str, Any]) -> None:
    for seed in range(3):
        for temperature in (0.0, 0.8, 3.0):
            text = model.generate(
                PROMPT, max_tokens=80, seed=seed, temperature=temperature, **language
            )
            if text.finish_reason == "length":  # a greedy list may go on for ever
                assert "+" in str(language) or "*" in str(language)
                continue
            assert text.finish_reason == "stop"
            assert is_of(text.text, language), text.text
            assert model.tokenizer.decode(text.tokens) == text.text


@pytest.mark.parametrize("language", LANGUAGES, ids=str)
def test_a_text_that_is_cut_is_the_beginning_of_the_whole(
    model: GPT2, language: dict[str, Any]
) -> None:
    whole = model.generate(PROMPT, max_tokens=40, seed=4, **language)
    for n in range(0, len(whole.tokens), 3):
        cut = model.generate(PROMPT, max_tokens=n, seed=4, **language)
        assert cut.tokens == whole.tokens[:n]
        assert cut.finish_reason == ("stop" if cut.tokens == whole.tokens else "length")


def naive(model: GPT2, n: int, language: dict[str, Any]) -> tuple[list[int], str]:
    """Greedy decoding with llguidance's matcher and numpy: a pass for each token, forced or not."""
    chosen = SamplingParams(**language).language
    assert chosen is not None
    matcher = matcher_of(Language(*chosen), model.tokenizer)
    session = model.session()
    session.append(model.tokenizer.encode(PROMPT))
    tokens: list[int] = []
    while not matcher.is_stopped():
        if len(tokens) == n:
            return tokens, "length"
        bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")
        allowed = np.where(bits[: model.tokenizer.n_vocab], session.logits, -np.inf)
        forced = matcher.compute_ff_tokens()
        token = forced[0] if forced else int(allowed.argmax())
        if token == model.tokenizer.eos_token:
            break
        matcher.consume_token(token)
        tokens.append(token)
        session.append([token])
    return tokens, "stop"


@pytest.mark.parametrize("language", LANGUAGES, ids=str)
def test_forced_tokens_are_those_of_a_pass_each(model: GPT2, language: dict[str, Any]) -> None:
    expected = naive(model, 24, language)
    found = model.generate(PROMPT, max_tokens=24, temperature=0, **language)
    assert (found.tokens, found.finish_reason) == expected
    n_forced = len(model.tokenizer.encode('{"name":')) if "json_schema" in language else 0
    assert found.timings.decode_passes <= len(found.tokens) - n_forced


@pytest.mark.parametrize("language", LANGUAGES, ids=str)
def test_threads_batches_and_engines_change_no_bit(model: GPT2, language: dict[str, Any]) -> None:
    options: dict[str, Any] = {"max_tokens": 40, "seed": 11, "logprobs": 2, **language}
    expected = model.generate(PROMPT, **options)
    assert same(GPT2(n_threads=2).generate(PROMPT, **options), expected)
    streamed = model.stream(PROMPT, **options)
    assert "".join(piece.text for piece in streamed) == expected.text
    assert same(streamed.completion(), expected)
    with Engine(model, max_batch=4) as engine:
        others = [
            engine.submit(prompt, max_tokens=40, seed=2, **other)
            for prompt, other in [("Once " * 70, LANGUAGES[1]), ("A", {}), ("B", LANGUAGES[4])]
        ]
        request = engine.submit(PROMPT, **options)
        again = engine.submit(PROMPT, **options)
        assert same(request.result(), expected)
        assert same(again.result(), expected)
        for other in others:
            other.result()
    assert same(model.generate([PROMPT, "x"], **options)[0], expected)


def always_drafting(
    model: GPT2, n_draft: int, drafts: dict[str, Any], options: dict[str, Any]
) -> Generation:
    params = SamplingParams(**options)
    prompt = model.tokenizer.encode(PROMPT)
    text = _core.Text(
        model.core_model, model.tokenizer.tables, model.contexts, prompt,
        text_options(params),
        _core.SpeculationOptions(min_draft=n_draft, max_draft=n_draft, **drafts),
        constraint_for(model.tokenizer, params),
    )  # fmt: skip
    return Generation(model, text)


@pytest.mark.parametrize("language", LANGUAGES, ids=str)
def test_drafts_change_no_bit(model: GPT2, language: dict[str, Any]) -> None:
    draft = GPT2(n_threads=1)  # the model itself: its drafts are right but for the constraint
    own = {
        "draft": draft.core_model, "draft_tables": draft.tokenizer.tables,
        "draft_contexts": draft.contexts,
    }  # fmt: skip
    for temperature in (0.0, 0.8):
        options = {
            "max_tokens": 32, "seed": 5, "logprobs": 1, "temperature": temperature,
                "token_healing": False, **language,
        }  # fmt: skip
        expected = model.generate(PROMPT, **options)
        for n_draft in (1, 4, 15):
            for drafts in (own, {"prompt_lookup": True}):
                found = always_drafting(model, n_draft, drafts, options).result()
                assert same(found, expected), (n_draft, drafts)


def test_drafts_are_accepted_under_a_constraint(model: GPT2) -> None:
    options = {"max_tokens": 64, "temperature": 0, "regex": "(ab |cd )+"}
    found = always_drafting(model, 4, {"prompt_lookup": True}, options).result()
    assert found.timings.accepted_tokens > 0
    assert same(found, model.generate(PROMPT, **options))


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_a_draft_model_keeps_to_the_language(model: GPT2, temperature: float) -> None:
    """A draft model with the model's own weights drafts what the model chooses of the allowed."""
    draft = GPT2(n_threads=1)
    drafts = {
        "draft": draft.core_model, "draft_tables": draft.tokenizer.tables,
        "draft_contexts": draft.contexts,
    }  # fmt: skip
    options = {
        "max_tokens": 40,
        "seed": 3,
        "temperature": temperature,
        "regex": "([A-Z]{2}[0-9];)+",
    }
    took = always_drafting(model, 4, drafts, options).result().timings
    assert took.draft_tokens > 20
    assert took.accepted_tokens == took.draft_tokens


# Literals, classes and how often they come: what Python's re and Rust's regex agree on.
_ATOMS = st.sampled_from(["a", "b", "c ", "é", "[0-9]", "[a-f]", "(x|yz)", "(one|two|three)", "-"])
_TIMES = st.sampled_from(["", "", "?", "{2}", "{1,3}", "{0,2}"])
_REGEXES = st.lists(st.tuples(_ATOMS, _TIMES), min_size=1, max_size=6).map(
    lambda parts: "".join(f"({atom}){times}" for atom, times in parts)
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_REGEXES, st.integers(0, 99), st.sampled_from([0.0, 1.0, 100.0]))
def test_regexes_match(model: GPT2, regex: str, seed: int, temperature: float) -> None:
    options = {"max_tokens": 64, "seed": seed, "temperature": temperature, "regex": regex}
    text = model.generate("A", **options)
    assert text.finish_reason == "stop"
    assert re.fullmatch(regex, text.text), text.text
    assert same(model.generate(["A", "B"], **options)[0], text)


_VALUES = st.sampled_from(
    [
        {"type": "boolean"}, {"type": "null"}, {"const": "so"}, {"enum": [1, "two", None]},
        {"type": "integer", "minimum": -5, "maximum": 5}, {"type": "string", "maxLength": 4},
        {"type": "string", "pattern": "^[a-c]{1,3}$"},
        {"type": "string", "format": "date"},
        {"type": "number", "minimum": 0, "maximum": 1, "multipleOf": 0.25},
    ]
)  # fmt: skip
_SCHEMAS = st.recursive(
    _VALUES,
    lambda inner: st.one_of(
        st.builds(lambda items, n: {"type": "array", "items": items, "maxItems": n},
                  inner, st.integers(0, 2)),
        st.builds(lambda one, two: {"anyOf": [one, two]}, inner, inner),
        st.dictionaries(st.sampled_from(["a", "b c", "é", "d"]), inner, max_size=3).map(
            lambda properties: {
                "type": "object", "properties": properties, "additionalProperties": False,
                "required": sorted(properties)[:1],
            }
        ),
    ),
    max_leaves=4,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_SCHEMAS, st.integers(0, 99), st.sampled_from([0.0, 1.0, 100.0]))
def test_json_is_valid(model: GPT2, schema: dict[str, Any], seed: int, temperature: float) -> None:
    text = model.generate(
        "A", max_tokens=250, seed=seed, temperature=temperature, json_schema=schema
    )
    assert text.finish_reason == "stop"
    jsonschema.validate(json.loads(text.text), schema)


def test_log_probabilities_are_of_what_is_allowed(model: GPT2) -> None:
    text = model.generate("Yes or no?", regex=" (yes|no)", temperature=0, logprobs=50)
    (first, *_) = text.logprobs
    likely = [logprob for _, logprob in first.top if logprob > -math.inf]
    assert sum(map(math.exp, likely)) == pytest.approx(1, abs=1e-5)
    assert len(likely) < 12  # the beginnings of two words
    whole = model.generate("Yes or no?", regex="so be it", temperature=0, logprobs=3)
    assert [(one.logprob, one.top) for one in whole.logprobs] == [
        (0, [(token, 0)]) for token in whole.tokens
    ]
    assert whole.timings.decode_passes == 0


def test_other_options_choose_among_what_is_allowed(model: GPT2) -> None:
    yes = model.tokenizer.encode("yes")
    options: dict[str, Any] = {"regex": "(yes|no|maybe)", "temperature": 0}
    first = model.generate("A", **options).text
    banned = {token: -math.inf for token in range(model.tokenizer.n_vocab)
              if first.startswith(model.tokenizer.decode([token]))}  # fmt: skip
    assert model.generate("A", logit_bias=banned, **options).text != first
    with pytest.raises(ValueError, match="token 11 is not allowed by regex: forced_first_token"):
        model.generate("A", forced_first_token=11, **options)
    assert model.generate("A", forced_first_token=yes[0], **options).text == "yes"
    with pytest.raises(ValueError, match="every token is banned"):
        model.generate("A", logit_bias=dict.fromkeys(range(50257), -math.inf), **options)


def test_the_end_comes_where_the_language_may_end_and_not_before(model: GPT2) -> None:
    likely_end = {model.tokenizer.eos_token: 100.0}
    text = model.generate("A", regex="[a-c]{3}[a-z]*", logit_bias=likely_end, temperature=0)
    assert re.fullmatch("[a-c]{3}[a-z]*", text.text)
    shorter = model.tokenizer.decode(text.tokens[:-1])
    assert not re.fullmatch("[a-c]{3}[a-z]*", shorter)
    longer = model.generate(
        "A", regex="[a-c]{3}[a-z]*", logit_bias=likely_end, ignore_eos=True, max_tokens=20
    )
    assert (longer.finish_reason, len(longer.tokens)) == ("length", 20)
    # What is complete ends, whatever min_tokens asks for.
    assert model.generate("A", regex="ab?", min_tokens=9, temperature=0).finish_reason == "stop"
    assert model.generate("A", regex="").text == ""


def test_stop_strings_end_a_constrained_text_earlier(model: GPT2) -> None:
    text = model.generate("A", regex="(one|two), three, four", stop=", fo")
    assert text.text in ("one, three", "two, three")
    assert (text.finish_reason, text.stop_string) == ("stop", ", fo")


def test_a_long_run_of_forced_tokens(model: GPT2) -> None:
    """More than a pass computes of a prompt at a time, before and after a choice."""
    run = " ".join(f"word{i}" for i in range(150))
    language = {"regex": f"{run}( yes| no) {run}[.!]"}
    alone = model.generate(PROMPT, max_tokens=None, seed=1, **language)
    assert re.fullmatch(language["regex"], alone.text)
    with Engine(model) as engine:
        other = engine.submit("x", max_tokens=30, seed=1)
        assert same(engine.submit(PROMPT, max_tokens=None, seed=1, **language).result(), alone)
        assert same(other.result(), model.generate("x", max_tokens=30, seed=1))
    full = GPT2(n_ctx=64).generate(PROMPT, max_tokens=None, **language)
    assert (full.finish_reason, full.tokens) == ("length", alone.tokens[: len(full.tokens)])
    assert len(full.tokens) == 64 - len(full.prompt_tokens) + 1


def test_sliding_contexts(model: GPT2) -> None:
    short = GPT2(n_threads=1, n_ctx=48)
    options: dict[str, Any] = {
        "max_tokens": 150, "seed": 3, "context_overflow": "slide",
        "regex": "( forced tokens (yes|no))*",
    }  # fmt: skip
    text = short.generate(PROMPT, **options)
    assert len(text.tokens) == 150
    assert same(short.generate([PROMPT, "x"], **options)[0], text)


def test_a_text_in_another_thread_and_one_that_is_cancelled(model: GPT2) -> None:
    found: list[str] = []
    language = {"regex": "[a-z ]*"}
    threads = [
        threading.Thread(
            target=lambda: found.append(
                model.generate("A", max_tokens=30, ignore_eos=True, seed=1, **language).text
            )
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    stream = model.stream("A", max_tokens=None, seed=1, ignore_eos=True, **language)
    pieces = [next(stream).text for _ in range(5)]
    stream.cancel()
    assert stream.result().finish_reason == "cancelled"
    assert found[0].startswith("".join(pieces))


def test_a_vocabulary_of_its_own(tmp_path: Path) -> None:
    """Of 300 tokens, in a model whose embedding has more."""
    shape = TinyModel("own", n_layer=1, n_head=2, n_embd=32, n_inner=64, n_ctx=80)
    model = GPT2(write_gguf(tmp_path / "own.gguf", shape, draw_weights(shape), "q8_0"))
    for seed in range(5):
        text = model.generate("a", regex="(yes|no) [0-9]{3}", seed=seed, temperature=5.0)
        assert re.fullmatch("(yes|no) [0-9]{3}", text.text)


def test_params_tell_the_language(model: GPT2) -> None:
    assert model.stream("A", regex="a|b").params.regex == "a|b"
    params = SamplingParams(json_schema={"enum": ["a"]})
    assert params.json_schema == '{"enum": ["a"]}'
    assert model.generate("A", params).text == '"a"'
    assert model.generate("A", json_schema=True, max_tokens=3).finish_reason  # any JSON


def test_without_llguidance(run_python: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run_python(
        "import pygpt2edge, sys; sys.modules['llguidance'] = None\n"
        "pygpt2edge.GPT2().generate('a', regex='a')"
    )
    assert 'need llguidance: pip install "pygpt2edge[constrain]"' in done.stderr


def test_a_repetition_may_be_followed_by_what_it_repeats(model: GPT2) -> None:
    """As in llama.cpp; llguidance by itself reads a repetition to its end."""
    likely_end = {model.tokenizer.eos_token: 100.0}
    for grammar in ('root ::= word "b"\nword ::= [a-z]+', 'root ::= [a-z]+ "b"'):
        text = model.generate("A", grammar=grammar, logit_bias=likely_end, seed=1)
        assert text.finish_reason == "stop"
        assert re.fullmatch("[a-z]+b", text.text)
