"""Where a prompt ends within a token, a constrained text begins with one that goes on from it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from equal_texts import same
from tiny_models import TinyModel, draw_weights, write_gguf

from pygpt2edge import GPT2, Engine

pytest.importorskip("llguidance", reason="needs llguidance, of the constrain extra")

# Of each, a token stands across the end of the prompt.
PROMPTS: list[tuple[str, dict[str, Any]]] = [
    ("Was she happy? ", {"regex": "(yes|no)"}),
    ("The house is 19", {"regex": "[0-9]{2} years? old"}),
    ("He was unhapp", {"regex": "[a-z]{1,8}[.]"}),
    ("The url is http:", {"regex": "//[a-z]{3,9}"}),
    ("He has it:", {"json_schema": {"type": "array", "items": {"enum": [1, 2]}, "maxItems": 3}}),
    ("Well.", {"grammar": 'root ::= ".." (" " [a-z]+){1,2} "."'}),
    ("Un caf\u00e9 ", {"regex": "[a-z\u00e9]{4,9}"}),
]


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=1)


@pytest.fixture(scope="module")
def twin() -> GPT2:
    """The same model on two threads, and a draft model that is always right."""
    return GPT2(n_threads=2)


def test_a_space_at_the_end_costs_nothing(model: GPT2) -> None:
    """The words come as after the prompt without it; without healing they are spelled."""
    options: dict[str, Any] = {"temperature": 0, "logprobs": 1, "max_tokens": 1}
    healed = model.generate("It is a ", regex="[a-z]+", **options)
    spaced = model.generate("It is a", regex=" [a-z]+", **options)
    assert " " + healed.text == spaced.text
    assert healed.tokens == spaced.tokens
    assert healed.logprobs[0].text == healed.text
    plain = model.generate("It is a ", regex="[a-z]+", token_healing=False, **options)
    assert len(plain.prompt_tokens) == len(healed.prompt_tokens) + 1
    assert plain.text != healed.text


@pytest.mark.parametrize(("prompt", "language"), PROMPTS)
def test_texts_follow_their_prompt(model: GPT2, prompt: str, language: dict[str, Any]) -> None:
    n_given = len(model.tokenizer.encode(prompt))
    n_healed = 0
    for seed in range(12):
        text = model.generate(
            prompt, max_tokens=30, seed=seed, temperature=9.0 * seed, logprobs=2, **language
        )
        whole = model.tokenizer.decode(text.prompt_tokens + text.tokens)
        assert whole == prompt + text.text
        assert "".join(one.text for one in text.logprobs) == text.text
        if "regex" in language and text.finish_reason == "stop":
            assert re.fullmatch(language["regex"], text.text)
        n_healed += len(text.prompt_tokens) < n_given
    assert n_healed > 0


@pytest.mark.parametrize(("prompt", "language"), PROMPTS)
def test_healed_texts_are_the_same_however_computed(
    model: GPT2, twin: GPT2, prompt: str, language: dict[str, Any]
) -> None:
    options: dict[str, Any] = {"max_tokens": 24, "seed": 4, "logprobs": 2, **language}
    expected = model.generate(prompt, **options)
    assert same(twin.generate(prompt, **options), expected)
    stream = model.stream(prompt, **options)
    pieces = list(stream)
    assert "".join(piece.text for piece in pieces) == expected.text
    assert [piece.logprob for piece in pieces if piece.token is not None] == expected.logprobs
    assert same(stream.completion(), expected)
    assert same(model.generate(prompt, draft_model=twin, **options), expected)
    assert same(model.generate(prompt, prompt_lookup=True, **options), expected)
    with Engine(model) as engine:
        engine.submit(prompt, max_tokens=2).result()  # keeps the prompt's keys and values
        requests = [engine.submit(prompt, **options) for _ in range(2)]
        for request in requests:
            assert same(request.result(), expected)
    assert same(model.generate([prompt, "x"], **options)[0], expected)
    for n in range(0, len(expected.tokens), 2):
        cut = model.generate(prompt, **options | {"max_tokens": n})
        assert expected.text.startswith(cut.text)
        assert len(cut.tokens) == n


def test_what_is_not_healed(model: GPT2) -> None:
    tokens = model.tokenizer.encode("It is a ")
    options: dict[str, Any] = {"regex": "[a-z]+", "temperature": 0, "max_tokens": 3}
    plain = model.generate("It is a ", token_healing=False, **options)
    healed = model.generate("It is a ", **options)
    assert model.generate(tokens, **options).tokens == plain.tokens  # token ids are as meant
    assert same(model.generate(tokens, token_healing=True, **options), healed)
    first = plain.tokens[0]
    assert model.generate("It is a ", forced_first_token=first, **options).tokens[0] == first
    # No token goes on from these; the first token of all stays.
    for prompt, regex in (("It is a", " [a-z]+"), ("It is.", "[a-z]+"), ("A", "[a-z]+")):
        one = model.generate(prompt, **options | {"regex": regex})
        other = model.generate(prompt, token_healing=False, **options | {"regex": regex})
        assert same(one, other)
    assert model.generate("It is a ", **options | {"max_tokens": 0}).prompt_tokens == tokens
    end = "It is<|endoftext|>"
    assert model.generate(end, allow_special=True, **options).prompt_tokens[-1] == 50256
    # Free text is what it is.
    assert same(
        model.generate("It is a ", seed=1), model.generate("It is a ", seed=1, token_healing=True)
    )


def test_full_contexts_and_stop_strings(model: GPT2) -> None:
    prompt = "It is a "
    n = len(model.tokenizer.encode(prompt))
    for n_ctx in (n, n + 2):
        text = GPT2(n_threads=1, n_ctx=n_ctx).generate(prompt, regex="[a-z]+", max_tokens=None)
        assert text.finish_reason in ("length", "stop")
        assert len(text.prompt_tokens + text.tokens) <= n_ctx + 1
    with pytest.raises(ValueError, match="do not fit"):
        GPT2(n_threads=1, n_ctx=n - 1).generate(prompt, regex="[a-z]+")
    options: dict[str, Any] = {"regex": "(man|men|mother)s* and", "temperature": 0}
    whole = model.generate(prompt, **options).text
    stopped = model.generate(prompt, stop=whole[1:3], **options)
    assert (stopped.text, stopped.stop_string) == (whole[:1], whole[1:3])


# ---- against all texts of a language, in a vocabulary of a few pairs ----

PAIRS = ("a b", "\u0120 a", "a a", "ab a", "aba b", "b :", ": :", "\u0120a b", "b b")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> GPT2:
    shape = TinyModel("pairs", n_layer=2, n_head=2, n_embd=32, n_inner=64, n_ctx=40)
    path = tmp_path_factory.mktemp("pairs") / "pairs.gguf"
    return GPT2(write_gguf(path, shape, draw_weights(shape), merges=PAIRS))


def masked_greedily(
    model: GPT2, prompt: Sequence[int], texts: set[bytes], bias: dict[int, float]
) -> tuple[int, list[int], list[float]]:
    """How many tokens of the prompt are left to the text, its tokens with those, and the
    log-probability of each: by trying every token on every text of the language."""
    of = [model.tokenizer.token_bytes(token) for token in range(model.tokenizer.n_vocab)]
    special = model.tokenizer.special_tokens
    beginnings = {text[:n] for text in texts for n in range(len(text) + 1)}

    def beyond(rest: bytes) -> list[int]:
        return [
            token for token, text in enumerate(of)
            if token not in special and text.startswith(rest) and len(text) > len(rest)
            and text[len(rest):] in beginnings
        ]  # fmt: skip

    def rest_of(n: int) -> bytes:
        return b"".join(of[token] for token in prompt[len(prompt) - n :])

    left = next((n for n in (4, 3, 2, 1) if n < len(prompt) and beyond(rest_of(n))), 0)
    session = model.session()
    session.append(prompt[: len(prompt) - left])
    tokens: list[int] = []
    logprobs: list[float] = []
    written, n_own = b"", left
    while True:
        if n_own:
            allowed = [prompt[len(prompt) - n_own], *beyond(rest_of(n_own))]
        else:
            allowed = [t for t, text in enumerate(of) if written + text in beginnings
                       and text and t not in special]  # fmt: skip
            if written in texts:
                allowed.append(model.tokenizer.eos_token or 0)
        logits = session.logits.astype(np.float64)
        token = min(allowed, key=lambda t: (-session.logits[t] - bias.get(t, 0), t))
        if token == model.tokenizer.eos_token:
            return left, tokens, logprobs
        logprobs.append(logits[token] - np.log(np.exp(logits[allowed]).sum()))
        tokens.append(token)
        session.append([token])
        if not n_own:
            written += of[token]
        elif token == prompt[len(prompt) - n_own]:
            n_own -= 1
        else:
            written, n_own = of[token][len(rest_of(n_own)) :], 0
        if written in texts and not any(
            text != written and text.startswith(written) for text in texts
        ):
            return left, tokens, logprobs


def test_healing_is_what_trying_every_token_gives(tiny: GPT2) -> None:
    alphabet = "ab: "
    texts = {"".join(t).encode() for n in (1, 2, 3) for t in itertools.product(alphabet, repeat=n)}
    assert len(tiny.tokenizer.encode("abab: ab")) < 6
    pairs = dict.fromkeys(range(256, 256 + len(PAIRS)), 1.0)  # as likely as the bytes
    n_left = n_crossed = 0
    for prompt in map("".join, itertools.product(alphabet, repeat=4)):
        tokens = tiny.tokenizer.encode("x" + prompt)
        left, expected, logprobs = masked_greedily(tiny, tokens, texts, pairs)
        found = tiny.generate(
            "x" + prompt, regex="[ab: ]{1,3}", temperature=0, logprobs=1, logit_bias=pairs
        )
        n_own = len(found.prompt_tokens) - (len(tokens) - left)
        assert found.prompt_tokens[len(tokens) - left :] + found.tokens == expected, prompt
        assert [one.logprob for one in found.logprobs] == pytest.approx(logprobs[n_own:], abs=1e-4)
        n_left += left > 0
        n_crossed += n_own < left
    assert n_left > n_crossed > 10
