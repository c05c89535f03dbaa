"""`convert(equalize=True)`: other scales of channels, the same model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_models import TinyModel, Weights, draw_weights, some_tokens, write_gguf

from pygpt2edge import GPT2
from pygpt2edge.convert import convert
from pygpt2edge.convert.equalizing import channel_scales
from pygpt2edge.inspect.calibrating import calibrate

MODEL = TinyModel("uneven", n_layer=2, n_head=4, n_embd=256, n_inner=512, tied=False)
TOKENS = some_tokens(MODEL, 60).tolist()


def uneven_weights() -> Weights:
    """Every sixteenth channel of what comes out of a norm, and of the values, is far larger than
    its neighbours; the matrix behind it makes up for half of that."""
    weights = draw_weights(MODEL)
    large = np.ones(MODEL.n_embd, np.float32)
    large[::16] = 12
    for i in range(MODEL.n_layer):
        for norm, matrix in (("ln_1", "attn.c_attn"), ("ln_2", "mlp.c_fc")):
            weights[f"h.{i}.{norm}.weight"] *= large
            weights[f"h.{i}.{norm}.bias"] *= large
            weights[f"h.{i}.{matrix}.weight"] /= np.sqrt(large)[:, None]
        weights[f"h.{i}.attn.c_attn.weight"][:, 2 * MODEL.n_embd :] *= large / 4
    return weights


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("uneven") / "f32.gguf", MODEL, uneven_weights())


def error(path: Path, exact: Path) -> float:
    found, expected = GPT2(path).logits(TOKENS), GPT2(exact).logits(TOKENS)
    return float(np.square(found - expected).mean() / expected.var())


@pytest.mark.parametrize("kind", ["q8_0", "q6_k", "iq4_nl"])
def test_outliers_cost_less(exact: Path, tmp_path: Path, kind: str) -> None:
    convert(exact, tmp_path / "plain.gguf", kind)
    convert(exact, tmp_path / "even.gguf", kind, equalize=True)
    assert error(tmp_path / "even.gguf", exact) < 0.8 * error(tmp_path / "plain.gguf", exact)


def test_with_a_calibration_too(exact: Path, tmp_path: Path) -> None:
    stats = tmp_path / "stats.gguf"
    calibrate(exact, "abc def ghi jkl mno pqr stu vwx yz " * 40, stats, max_tokens=1000)
    convert(exact, tmp_path / "plain.gguf", "q8_0", calibration=stats)
    convert(exact, tmp_path / "even.gguf", "q8_0", calibration=stats, equalize=True)
    assert error(tmp_path / "even.gguf", exact) < 0.8 * error(tmp_path / "plain.gguf", exact)


def test_what_is_even_stays_as_it_is(tmp_path: Path) -> None:
    weights = draw_weights(MODEL)
    for name, values in weights.items():
        if "ln_" in name:
            values[:] = 1.0 if name.endswith("weight") else 0.0
    exact = write_gguf(tmp_path / "f32.gguf", MODEL, weights)
    convert(exact, tmp_path / "plain.gguf", "q8_0")
    convert(exact, tmp_path / "even.gguf", "q8_0", equalize=True)
    assert (tmp_path / "even.gguf").read_bytes() == (tmp_path / "plain.gguf").read_bytes()


def test_scales_are_powers_of_two() -> None:
    random = np.random.default_rng(1)
    squares = np.exp(random.standard_normal(64)).astype(np.float32) ** 2
    matrix = (random.standard_normal((50, 64)) / np.sqrt(squares)).astype(np.float32)
    scales = channel_scales(squares, matrix, 1.0)
    assert np.array_equal(np.exp2(np.round(np.log2(scales))), scales)
    evened = np.sqrt(squares) * scales
    assert evened.max() / evened.min() < 4 < np.sqrt(squares.max() / squares.min())
