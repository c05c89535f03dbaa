"""Logits against Hugging Face's, and of each tensor type against full precision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_logits import dequantized_copy, logits_of
from tiny_models import MODELS, draw_weights, some_tokens, write_gguf

from pygpt2edge import _core

GOLDEN = Path(__file__).parents[1] / "data" / "model"
TYPES = ["f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k", "q5_k", "q6_k"]

NAMES = [pytest.param(n, marks=pytest.mark.slow) if n == "xl-width" else n for n in MODELS]


def kl_divergence(reference: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The mean over rows of KL(softmax(reference) || softmax(other)), in nats."""

    def log_softmax(x: NDArray[np.float32]) -> NDArray[np.float64]:
        x = x.astype(np.float64) - x.max(axis=1, keepdims=True)
        return x - np.log(np.exp(x).sum(axis=1, keepdims=True))

    p, q = log_softmax(reference), log_softmax(other)
    return float((np.exp(p) * (p - q)).sum(axis=1).mean())


@pytest.mark.parametrize("name", NAMES)
def test_f32_file_gives_hugging_faces_logits(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    path = write_gguf(tmp_path / "model.gguf", model, draw_weights(model))
    golden = np.load(GOLDEN / f"{name}.npz")
    found = logits_of(path, golden["tokens"])
    assert np.abs(found - golden["logits"]).max() <= 1e-4 * golden["logits"].std()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("kv_type", "bound"), [("int8", 2e-3), ("int16", 1e-6)])
def test_a_cache_of_codes_costs_little(
    name: str, kv_type: str, bound: float, tmp_path: Path
) -> None:
    model = MODELS[name]
    path = write_gguf(tmp_path / "model.gguf", model, draw_weights(model))
    tokens = some_tokens(model, min(model.n_ctx, 100))
    exact = logits_of(path, tokens, "f32")
    assert 0 < kl_divergence(exact, logits_of(path, tokens, kv_type)) < bound


@pytest.mark.parametrize("type", TYPES)
def test_a_quantized_file_differs_by_its_weights_rounding_and_little_else(
    type: str, tmp_path: Path
) -> None:
    model = MODELS["plain"]
    path = write_gguf(tmp_path / "quantized.gguf", model, draw_weights(model), type)
    copy = dequantized_copy(path, tmp_path / "f32.gguf", model)
    tokens = some_tokens(model, model.n_ctx)
    expected, found = logits_of(copy, tokens), logits_of(path, tokens)
    if type in ("f16", "bf16"):
        assert np.array_equal(expected, found)
    else:
        # What is left is the rounding of activations to 8 bits.
        error = np.sqrt(np.mean((found - expected) ** 2)) / expected.std()
        assert 0 < error < 0.05


def test_f16_cache_changes_little(tmp_path: Path) -> None:
    model = MODELS["plain"]
    path = write_gguf(tmp_path / "model.gguf", model, draw_weights(model))
    tokens = some_tokens(model, model.n_ctx)
    exact, rounded = logits_of(path, tokens), logits_of(path, tokens, "f16")
    assert 0 < kl_divergence(exact, rounded) < 1e-5


def test_mixture_of_types_in_one_file(tmp_path: Path) -> None:
    """As llama.cpp's Q4_K_M files have it: each tensor is read by its own type."""
    model = MODELS["plain"]
    weights = draw_weights(model)
    path = write_gguf(tmp_path / "mixed.gguf", model, weights, "q5_0")
    exact = write_gguf(tmp_path / "f32.gguf", model, weights, "f32")
    mixed = _core.GgufFile(str(path))
    assert {tensor.type for tensor in mixed.tensors} == {"F32", "Q5_0"}
    tokens = some_tokens(model, 30)
    assert kl_divergence(logits_of(exact, tokens), logits_of(path, tokens)) < 0.1


def test_version_2_file_loads(tmp_path: Path) -> None:
    model = MODELS["plain"]
    path = write_gguf(tmp_path / "model.gguf", model, draw_weights(model), "q8_0")
    tokens = some_tokens(model, 10)
    expected = logits_of(path, tokens)
    data = bytearray(path.read_bytes())
    data[4:8] = (2).to_bytes(4, "little")
    path.write_bytes(data)
    assert _core.GgufFile(str(path)).version == 2
    assert np.array_equal(expected, logits_of(path, tokens))
