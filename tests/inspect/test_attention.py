"""GPT2.attention, against a forward pass written out in float64."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from plain_activations import ACTIVATIONS
from tiny_models import MODELS, TinyModel, Weights, draw_weights, some_tokens, write_gguf

from pygpt2edge import GPT2, ContextLengthError, _core

# More tokens than one pass takes at a time.
LONG = TinyModel("long", n_layer=2, n_head=2, n_embd=64, n_inner=96, n_ctx=600)
SHAPES = [MODELS["plain"], MODELS["odd-heads"], MODELS["narrow-heads"], MODELS["erf-untied"], LONG]
KV_TYPES = ["f32", "f16", "int8", "int16"]
SHAPE = MODELS["odd-heads"]
TOKENS = some_tokens(SHAPE, 60).tolist()

Floats = NDArray[np.float64]


def draw_sharp_weights(model: TinyModel) -> Weights:
    """With larger queries and keys, so that few tokens are looked at much and most hardly."""
    weights = draw_weights(model)
    for i in range(model.n_layer):
        weights[f"h.{i}.attn.c_attn.weight"][:, : 2 * model.n_embd] *= 3
    return weights


def layer_norm(x: Floats, weights: Weights, name: str) -> Floats:
    x = x - x.mean(axis=1, keepdims=True)
    x /= np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-5)
    return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: Floats, weights: Weights, name: str) -> Floats:
    return x @ weights[f"{name}.weight"].astype(np.float64) + weights[f"{name}.bias"]


def look_naively(model: TinyModel, weights: Weights, tokens: NDArray[np.int32]) -> Floats:
    """(n_layer, n_head, n, n)"""
    n, d = len(tokens), model.n_embd // model.n_head
    x = weights["wte.weight"][tokens].astype(np.float64) + weights["wpe.weight"][:n]
    looks = np.zeros((model.n_layer, model.n_head, n, n))
    for i in range(model.n_layer):
        qkv = linear(layer_norm(x, weights, f"h.{i}.ln_1"), weights, f"h.{i}.attn.c_attn")
        query, key, value = np.split(qkv, 3, axis=1)
        mixed = np.empty((n, model.n_embd))
        for head in range(model.n_head):
            part = slice(d * head, d * (head + 1))
            scores = query[:, part] @ key[:, part].T / math.sqrt(d)
            scores[np.triu_indices(n, 1)] = -np.inf
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            looks[i, head] = shares / shares.sum(axis=1, keepdims=True)
            mixed[:, part] = looks[i, head] @ value[:, part]
        x = x + linear(mixed, weights, f"h.{i}.attn.c_proj")
        inner = linear(layer_norm(x, weights, f"h.{i}.ln_2"), weights, f"h.{i}.mlp.c_fc")
        inner = ACTIVATIONS[model.activation_function](inner)
        x = x + linear(inner, weights, f"h.{i}.mlp.c_proj")
    return looks


Make = Callable[[TinyModel, str], Path]


@pytest.fixture(scope="module")
def path_of(tmp_path_factory: pytest.TempPathFactory) -> Make:
    folder = tmp_path_factory.mktemp("models")

    def make(model: TinyModel, type: str) -> Path:
        path = folder / f"{model.name}-{type}.gguf"
        return path if path.exists() else write_gguf(path, model, draw_sharp_weights(model), type)

    return make


@pytest.fixture
def model(path_of: Make) -> GPT2:
    return GPT2(path_of(SHAPE, "f32"))


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_the_same_as_the_naive_pass(path_of: Make, shape: TinyModel) -> None:
    n = 530 if shape is LONG else 45
    tokens = some_tokens(shape, n)
    found = GPT2(path_of(shape, "f32")).attention(tokens.tolist())
    assert found.dtype == np.float32
    assert found.shape == (shape.n_layer, shape.n_head, n, n)
    expected = look_naively(shape, draw_sharp_weights(shape), tokens)
    assert np.abs(found - expected).max() < 1e-5
    assert expected[:, :, -1].max() > 10 / n  # there was something to see


@pytest.mark.parametrize("kv_type", KV_TYPES)
@pytest.mark.parametrize("type", ["f32", "q8_0"])
def test_rows_sum_to_1_and_have_no_weight_after_themselves(
    path_of: Make, type: str, kv_type: str
) -> None:
    shape = LONG
    looks = GPT2(path_of(shape, type), kv_type=kv_type).attention(some_tokens(shape, 300).tolist())
    assert np.allclose(looks.sum(axis=3, dtype=np.float64), 1, atol=1e-5)
    assert (looks >= 0).all()
    rows, columns = np.triu_indices(300, 1)
    assert (looks[:, :, rows, columns] == 0).all()


@pytest.mark.parametrize("kv_type", KV_TYPES)
def test_looking_changes_no_logits(path_of: Make, kv_type: str) -> None:
    core = _core.Model(str(path_of(SHAPE, "q8_0")), 2)
    plain, looking = _core.Session(core, 0, kv_type), _core.Session(core, 0, kv_type)
    plain.append(TOKENS)
    looking.append_attention(TOKENS, [0, 1])
    assert np.array_equal(plain.logits, looking.logits)
    assert looking.tokens == TOKENS
    plain.append([1])
    looking.append([1])
    assert np.array_equal(plain.logits, looking.logits)  # of what is cached


@pytest.mark.parametrize("kv_type", KV_TYPES)
def test_a_session_that_has_tokens_shows_the_rows_of_those_that_come(
    path_of: Make, kv_type: str
) -> None:
    core = _core.Model(str(path_of(SHAPE, "q8_0")), 2)
    whole = _core.Session(core, 0, kv_type).append_attention(TOKENS, [1])
    session = _core.Session(core, 0, kv_type)
    session.append(TOKENS[:17])
    assert np.array_equal(session.append_attention(TOKENS[17:18], [1]), whole[:, :, 17:18, :18])
    assert np.array_equal(session.append_attention(TOKENS[18:], [1]), whole[:, :, 18:])
    assert session.append_attention([], [0]).shape == (1, SHAPE.n_head, 0, 60)


PRINT = (
    "import sys; from pygpt2edge import GPT2;"
    "model = GPT2(sys.argv[1], n_threads=int(sys.argv[2]), kv_type=sys.argv[3]);"
    "assert model.isa == sys.argv[4], model.isa;"
    "sys.stdout.buffer.write(model.attention(eval(sys.argv[5])).tobytes())"
)


@pytest.mark.parametrize("kv_type", ["f16", "int8", "int16"])
def test_threads_and_instruction_sets_give_the_same_bits(path_of: Make, kv_type: str) -> None:
    path = path_of(SHAPE, "q8_0")
    expected = GPT2(path, n_threads=1, kv_type=kv_type).attention(TOKENS).tobytes()
    for n_threads, isa in enumerate(_core.cpu()["isas"], 2):
        arguments = [str(path), str(n_threads), kv_type, isa, str(TOKENS)]
        done = subprocess.run(
            [sys.executable, "-c", PRINT, *arguments], capture_output=True, check=True,
            env=os.environ | {"GPT2EDGE_ISA": isa}, cwd=path.parent,
        )  # fmt: skip
        assert done.stdout == expected, (n_threads, isa)


def test_layers_come_in_the_order_asked_for(model: GPT2) -> None:
    all_layers = model.attention(TOKENS)
    assert np.array_equal(model.attention(TOKENS, layers=[1, 0]), all_layers[[1, 0]])
    assert np.array_equal(model.attention(TOKENS, layers=[1]), all_layers[1:])
    assert model.attention(TOKENS, layers=[]).shape == (0, 5, 60, 60)


def test_text_is_taken_as_its_tokens(model: GPT2) -> None:
    text = "a b"
    expected = model.attention(model.tokenizer.encode(text))
    assert np.array_equal(model.attention(text), expected)
    assert np.array_equal(model.attention(""), np.ones((2, 5, 1, 1)))


@pytest.mark.parametrize("layer", [-1, 2])
def test_a_layer_that_is_not_there(model: GPT2, layer: int) -> None:
    with pytest.raises(ValueError, match=f"layer {layer} is not there: .* layers 0 to 1"):
        model.attention(TOKENS, layers=[0, layer])


def test_a_layer_that_comes_twice(model: GPT2) -> None:
    with pytest.raises(ValueError, match="layer 1 comes twice"):
        model.attention(TOKENS, layers=[1, 0, 1])


def test_more_tokens_than_the_context_holds(model: GPT2) -> None:
    with pytest.raises(ContextLengthError, match="65 tokens do not fit a context of 64"):
        model.attention([0] * 65)
    with pytest.raises(ValueError, match="token 1 is 331"):
        model.attention([0, 331])


def test_too_little_memory_is_said_before_it_is_taken(
    model: GPT2, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer_bytes = 4 * 5 * 60 * 60
    monkeypatch.setattr(_core, "available_memory", lambda: 2 * layer_bytes - 1)
    with pytest.raises(MemoryError, match="60 tokens in 2 layers .*: ask for at most 1 of the"):
        model.attention(TOKENS)
    assert model.attention(TOKENS, layers=[1]).nbytes == layer_bytes
    monkeypatch.setattr(_core, "available_memory", lambda: layer_bytes - 1)
    with pytest.raises(MemoryError, match="available: ask for those of a shorter text"):
        model.attention(TOKENS, layers=[1])
