"""Hidden states are transformers', and vectors what sentence-transformers makes of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from classifier_models import STATES, TEXTS, TRUNK
from tiny_models import MODELS, draw_weights, some_tokens, write_gguf

from pygpt2edge import GPT2, ContextLengthError, _core
from pygpt2edge.convert import convert

N_LAYER, N_EMBD, N_CTX = 2, 32, 16
POOLINGS = ["mean", "last", "weighted"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> GPT2:
    return GPT2(convert(TRUNK, tmp_path_factory.mktemp("trunk") / "trunk.gguf", "f32").out)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    return write_gguf(path, MODELS["odd-heads"], draw_weights(MODELS["odd-heads"]), "q8_0")


# Of all lengths, some longer than the rows that a pass has left.
TOKENS = [some_tokens(MODELS["odd-heads"], 1 + 17 * i % 64, seed=i).tolist() for i in range(40)]


@pytest.mark.parametrize("layer", range(-N_LAYER - 1, N_LAYER + 1))
def test_hidden_states_are_those_of_transformers(model: GPT2, layer: int) -> None:
    for i, found in enumerate(model.hidden_states(TEXTS, layer, allow_special=True)):
        expected = STATES[f"states {i}"][layer]
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-5 * expected.std()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_vectors_are_those_of_sentence_transformers(model: GPT2, pooling: str) -> None:
    expected = np.stack([STATES[f"{pooling} {i}"] for i in range(len(TEXTS))])
    found = model.embed(TEXTS, pooling=pooling, normalize=False, allow_special=True)
    assert np.abs(found - expected).max() <= 1e-5 * expected.std()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    unit = model.embed(TEXTS, pooling=pooling, allow_special=True)
    assert np.abs(unit - expected).max() <= 1e-6
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)


def test_one_text_is_one_vector(model: GPT2) -> None:
    vectors = model.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), N_EMBD)
    assert np.array_equal(model.embed(TEXTS[0]), vectors[0])
    tokens = model.tokenizer.encode(TEXTS[0])
    assert np.array_equal(model.embed(tokens), vectors[0])
    assert np.array_equal(model.embed([tokens, TEXTS[1]]), vectors[:2])
    assert np.array_equal(model.embed(np.array(tokens)), vectors[0])


def test_no_texts_and_an_empty_one(model: GPT2) -> None:
    assert model.embed([]).shape == (0, N_EMBD)
    assert model.hidden_states([]) == []
    start = model.tokenizer.encode("<|endoftext|>", allow_special=True)
    assert len(start) == 1
    assert np.array_equal(model.embed(""), model.embed(start))
    assert np.array_equal(model.embed("<|endoftext|>", allow_special=True), model.embed(start))
    assert np.array_equal(model.embed(["", "the"])[1], model.embed("the"))


def test_too_long_a_text(model: GPT2) -> None:
    long = [5] * (N_CTX + 1)
    with pytest.raises(ContextLengthError, match=r"17 tokens do not fit a context of 16"):
        model.embed(long)
    with pytest.raises(ContextLengthError, match=r"text 1: 17 tokens do not fit"):
        model.embed([[5], long])
    assert np.array_equal(model.embed(long, truncate=True), model.embed(long[:-1]))
    assert model.hidden_states(long, truncate=True).shape == (N_CTX, N_EMBD)


def test_options_that_are_none(model: GPT2) -> None:
    for layer in (3, -4):
        with pytest.raises(ValueError, match=rf"layer is {layer}; this model has the hidden stat"):
            model.embed("the", layer)
    with pytest.raises(ValueError, match='pooling is "max", expected "mean", "last" or "weigh'):
        model.embed("the", pooling="max")
    with pytest.raises(ValueError, match="token 0 is 999"):
        model.embed([999])
    with pytest.raises(TypeError, match="a text is bytes"):
        model.embed(["the", b"the"])  # type: ignore[list-item]


@pytest.mark.parametrize("layer", [0, 1, -1])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_batch_changes_no_bit(tiny: Path, layer: int, pooling: str) -> None:
    model = GPT2(tiny, n_threads=2)
    together = model.embed(TOKENS, layer, pooling)
    for tokens, vector in zip(TOKENS[::3], together[::3], strict=True):
        assert np.array_equal(model.embed(tokens, layer, pooling), vector)
    assert np.array_equal(model.embed(TOKENS[::-1], layer, pooling), together[::-1])


def test_states_in_a_batch(tiny: Path) -> None:
    model = GPT2(tiny, n_threads=3)
    for tokens, states in zip(TOKENS, model.hidden_states(TOKENS, 1), strict=True):
        assert np.array_equal(model.hidden_states(tokens, 1), states)


@pytest.mark.parametrize("n_threads", [1, 4])
def test_threads_change_no_bit(tiny: Path, n_threads: int) -> None:
    expected = GPT2(tiny, n_threads=2).embed(TOKENS)
    assert np.array_equal(GPT2(tiny, n_threads=n_threads).embed(TOKENS), expected)


@pytest.mark.slow
@pytest.mark.parametrize("isa", _core.cpu()["isas"])
def test_every_instruction_set_gives_the_same_bits(tiny: Path, isa: str, tmp_path: Path) -> None:
    program = (
        "import sys, numpy, pygpt2edge, json; model = pygpt2edge.GPT2(sys.argv[1]);"
        "numpy.save(sys.argv[2], model.embed(json.loads(sys.argv[3]), pooling='weighted'))"
    )
    out = tmp_path / "vectors.npy"
    subprocess.run(
        [sys.executable, "-c", program, str(tiny), str(out), str(TOKENS[:10])],
        env=os.environ | {"GPT2EDGE_ISA": isa}, check=True,
    )  # fmt: skip
    assert np.array_equal(np.load(out), GPT2(tiny).embed(TOKENS[:10], pooling="weighted"))


def test_generating_is_not_disturbed(model: GPT2) -> None:
    before = model.generate("the cat", max_tokens=4, temperature=0, ignore_eos=True).tokens
    session = model.session()
    session.append(model.tokenizer.encode("the"))
    model.embed(TEXTS, 1)
    expected = model.logits("the cat")[-1]
    session.append(model.tokenizer.encode(" cat"))
    assert np.array_equal(session.logits, expected)
    after = model.generate("the cat", max_tokens=4, temperature=0, ignore_eos=True).tokens
    assert before == after
