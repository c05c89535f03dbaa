"""The Python API on the demo model: what is generated, and why it ends."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygpt2edge import GPT2, ContextLengthError

PROMPT = "It is a truth universally acknowledged, that"


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=2)


def test_greedy_takes_the_largest_logit_each_time(model: GPT2) -> None:
    out = model.generate(PROMPT, max_tokens=12, temperature=0)
    tokens = model.tokenizer.encode(PROMPT)
    for token in out.tokens:
        assert token == int(model.logits(tokens)[-1].argmax())
        tokens.append(token)
    assert out.text == model.tokenizer.decode(out.tokens)
    assert out.tokens == model.generate(PROMPT, max_tokens=12, top_k=1).tokens


def test_a_seed_gives_the_same_text(model: GPT2) -> None:
    texts = {model.generate(PROMPT, max_tokens=20, seed=seed).text for seed in (1, 1, 2, 3)}
    assert len(texts) == 3
    drawn = model.generate(PROMPT, max_tokens=20)
    again = model.generate(PROMPT, max_tokens=20, seed=drawn.seed)
    assert again.tokens == drawn.tokens


def test_seed_on_every_machine(model: GPT2) -> None:
    """These are the demo model's words for this seed, whatever the processor and the compiler."""
    out = model.generate("Once upon a time", max_tokens=12, seed=2026)
    assert out.text == ".\n'Tis a woman:\nI'll do"


def test_stream_pieces_make_the_text(model: GPT2) -> None:
    generation = model.stream(PROMPT, max_tokens=30, seed=5)
    text, tokens = "", []
    for piece in generation:
        text += piece.text
        tokens += [] if piece.token is None else [piece.token]
        so_far = generation.completion()
        assert so_far.text == text
        assert so_far.tokens == tokens
    assert generation.completion().finish_reason == "length"
    assert model.generate(PROMPT, max_tokens=30, seed=5).text == text


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**64 - 1))
def test_no_character_is_split(model: GPT2, seed: int) -> None:
    """At a temperature this high any byte may follow any other; only what never becomes a
    character is replaced."""
    pieces = list(model.stream("é", max_tokens=40, temperature=1e6, top_k=0, seed=seed))
    tokens = [piece.token for piece in pieces if piece.token is not None]
    assert "".join(piece.text for piece in pieces) == model.tokenizer.decode(tokens)


def test_stop_string_split_over_tokens(model: GPT2) -> None:
    plain = model.generate(PROMPT, max_tokens=40, seed=3)
    pieces = [model.tokenizer.decode([token]) for token in plain.tokens]
    stop = pieces[10][-1] + pieces[11][:2]  # begins in one token, ends in the next
    at = plain.text.index(stop)
    stopped = model.generate(PROMPT, max_tokens=40, seed=3, stop=["no such words", stop])
    assert stopped.text == plain.text[:at]
    assert (stopped.finish_reason, stopped.stop_string) == ("stop", stop)
    assert stopped.tokens == plain.tokens[: len(stopped.tokens)]
    assert model.generate(PROMPT, max_tokens=40, seed=3, stop=stop).text == stopped.text


def test_start_of_a_stop_string_at_the_end_is_not_lost(model: GPT2) -> None:
    plain = model.generate(PROMPT, max_tokens=8, seed=3)
    out = model.generate(PROMPT, max_tokens=8, seed=3, stop=[plain.text[-1] + "\x00"])
    assert out.text == plain.text
    assert out.finish_reason == "length"


def test_end_of_text_token_ends_the_text(model: GPT2) -> None:
    eos = model.tokenizer.eos_token
    assert eos is not None
    out = model.generate(PROMPT, max_tokens=5, logit_bias={eos: 1e9})
    assert (out.text, out.tokens, out.finish_reason) == ("", [], "stop")
    ignored = model.generate(PROMPT, max_tokens=5, logit_bias={eos: 1e9}, ignore_eos=True)
    assert ignored.tokens == [eos] * 5
    assert ignored.finish_reason == "length"


def test_empty_prompt_starts_a_document(model: GPT2) -> None:
    out = model.generate("", max_tokens=5, seed=1)
    assert out.prompt_tokens == [model.tokenizer.eos_token]
    assert out.tokens == model.generate([50256], max_tokens=5, seed=1).tokens


def test_end_of_text_in_a_prompt_is_text_unless_allowed(model: GPT2) -> None:
    text = "The end.<|endoftext|>"
    assert 50256 not in model.generate(text, max_tokens=1).prompt_tokens
    assert model.generate(text, max_tokens=1, allow_special=True).prompt_tokens[-1] == 50256


def test_zero_tokens(model: GPT2) -> None:
    out = model.generate(PROMPT, max_tokens=0)
    assert (out.text, out.finish_reason) == ("", "length")


def test_context_fills_up() -> None:
    model = GPT2(n_ctx=20)
    prompt = model.tokenizer.encode(PROMPT)
    out = model.generate(PROMPT, max_tokens=None, seed=1, ignore_eos=True)
    assert out.finish_reason == "length"
    # The last token needs no position: nothing is computed from it.
    assert len(prompt) + len(out.tokens) == 21
    assert out.tokens == GPT2().generate(prompt, max_tokens=21 - len(prompt), seed=1).tokens


def test_prompt_that_does_not_fit(model: GPT2) -> None:
    with pytest.raises(ContextLengthError, match=r"1100 tokens.*1024: 76 too many. Shorten"):
        model.generate([11] * 1100)
    with pytest.raises(ContextLengthError, match=r"raise n_ctx \(up to 1024"):
        GPT2(n_ctx=4).generate(PROMPT)


def test_logprobs(model: GPT2) -> None:
    out = model.generate(PROMPT, max_tokens=6, seed=4, logprobs=3)
    logits = model.logits(out.prompt_tokens + out.tokens)[len(out.prompt_tokens) - 1 :]
    for row, token, report in zip(logits, out.tokens, out.logprobs, strict=False):
        log_softmax = row - np.log(np.exp(row.astype(np.float64)).sum())
        assert report.token == token
        assert report.text == model.tokenizer.decode([token])
        assert report.logprob == pytest.approx(log_softmax[token], abs=1e-4)
        best = np.argsort(-row)[:3]
        assert [t for t, _ in report.top] == best.tolist()
        assert [p for _, p in report.top] == pytest.approx(log_softmax[best].tolist(), abs=1e-4)
    assert len(out.logprobs) == 6
    assert not model.generate(PROMPT, max_tokens=1).logprobs


@pytest.mark.parametrize("overflow", ["stop", "slide"])
def test_logprob_of_the_end_of_text(model: GPT2, overflow: str) -> None:
    eos = model.tokenizer.eos_token
    options = {"logit_bias": {eos: 100}, "context_overflow": overflow}
    out = model.generate(PROMPT, min_tokens=3, max_tokens=9, seed=4, logprobs=2, **options)
    assert len(out.tokens) == len(out.logprobs) == 3
    session = model.session()
    session.append(out.prompt_tokens + out.tokens)
    assert out.end_logprob.token == eos
    assert (out.end_logprob.logprob, out.end_logprob.top) == session.top_logprobs(eos, 2)
    assert model.generate(PROMPT, max_tokens=2, logprobs=1, seed=4).end_logprob is None
    assert model.generate(PROMPT, max_tokens=2, seed=4, **options).end_logprob is None


def test_bias_bans_and_favours(model: GPT2) -> None:
    greedy = model.generate(PROMPT, max_tokens=1, temperature=0).tokens[0]
    banned = model.generate(PROMPT, max_tokens=1, temperature=0, logit_bias={greedy: -np.inf})
    assert banned.tokens[0] != greedy
    assert model.generate(PROMPT, max_tokens=1, seed=1, logit_bias={42: 1e6}).tokens == [42]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"temperature": -1}, "temperature"),
        ({"top_p": 1.5}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"min_p": 2}, "min_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"max_tokens": -3}, "max_tokens is -3"),
        ({"seed": -1}, "seed is -1"),
        ({"logprobs": -1}, "logprobs is -1"),
        ({"stop": [""]}, "stop"),
        ({"logit_bias": {99999: 1.0}}, "99999"),
    ],
)
def test_options_out_of_range(model: GPT2, options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        model.generate(PROMPT, **options)


def test_two_threads_generate_from_one_model(model: GPT2) -> None:
    expected = {seed: model.generate(PROMPT, max_tokens=25, seed=seed).tokens for seed in range(4)}
    found: dict[int, list[int]] = {}

    def generate(seed: int) -> None:
        found[seed] = model.generate(PROMPT, max_tokens=25, seed=seed).tokens

    threads = [threading.Thread(target=generate, args=(seed,)) for seed in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_python_runs_while_the_core_computes(model: GPT2) -> None:
    counted = 0
    done = threading.Event()

    def compute() -> None:
        for _ in range(3):
            model.logits([11] * 600)
        done.set()

    thread = threading.Thread(target=compute)
    thread.start()
    while not done.wait(0.001):
        counted += 1
    thread.join()
    assert counted > 20


def test_generating_starts_without_numpy() -> None:
    # Its import takes longer than loading a small model does.
    program = (
        "import sys, pygpt2edge\n"
        "print(pygpt2edge.GPT2().generate('It is', max_tokens=2).finish_reason)\n"
        "print('numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["length", "False"]
