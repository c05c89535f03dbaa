"""Blocks: those of ggml's reference quantizers, bit for bit, and back."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from pygpt2edge import _core

READABLE = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
WRITABLE = ["bf16", "q8_0", "q4_0"]


def reference(values: NDArray[np.float32], type: str) -> NDArray[np.uint8]:
    quantized = gguf.quants.quantize(values, gguf.GGMLQuantizationType[type.upper()])
    return quantized.view(np.uint8).reshape(len(values), -1)


@pytest.mark.parametrize("type", WRITABLE)
@pytest.mark.parametrize("spread", [1.0, 1e-3, 300.0])
def test_equals_the_reference(type: str, spread: float) -> None:
    values = np.random.default_rng(3).standard_normal((64, 1600)).astype(np.float32)
    values *= np.float32(spread)
    assert np.array_equal(_core.quantize(values, type), reference(values, type))


@settings(max_examples=200, deadline=None)
@given(
    values=hnp.arrays(
        np.float32,
        (2, 64),
        elements=st.one_of(
            st.sampled_from([0.0, 1.0, -1.0, 0.5, -0.5, 127.0, -127.0, 63.5, 8.0, -8.0, 7.5]),
            st.floats(2**-100, 2**15, width=32),
            st.floats(-(2**15), -(2**-100), width=32),
        ),
    )
)
@pytest.mark.parametrize("type", ["q8_0", "q4_0"])
def test_equals_the_reference_on_awkward_numbers(type: str, values: NDArray[np.float32]) -> None:
    found, expected = _core.quantize(values, type), reference(values, type)
    # A block of zeros may carry a scale of -0 (as ggml's C code writes it) or 0.
    zeros = ~values.reshape(-1, 32).any(axis=1)
    block = found.size // zeros.size
    found, expected = found.reshape(-1, block), expected.reshape(-1, block)
    assert np.array_equal(found[~zeros], expected[~zeros])
    assert np.array_equal(found[zeros][:, 2:], expected[zeros][:, 2:])


@given(values=hnp.arrays(np.float32, (1, 32), elements=st.floats(-65504, 65504, width=32)))
def test_f16_rounds_as_numpy_does(values: NDArray[np.float32]) -> None:
    expected = values.astype(np.float16)
    assert np.array_equal(_core.quantize(values, "f16"), expected.view(np.uint8))


def test_every_half_float_survives() -> None:
    bits = np.arange(65536, dtype=np.uint16)
    halves = bits[np.isfinite(bits.view(np.float16))].reshape(1, -1)
    floats = _core.dequantize(halves.view(np.uint8), "f16", halves.shape[1])
    assert np.array_equal(floats, halves.view(np.float16).astype(np.float32))
    assert np.array_equal(_core.quantize(floats, "f16"), halves.view(np.uint8))


@pytest.mark.parametrize("type", READABLE)
def test_dequantizes_as_the_reference(type: str) -> None:
    kind = gguf.GGMLQuantizationType[type]
    block_size, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    random = np.random.default_rng(5)
    raw = random.integers(0, 256, (8, 1024 // block_size * block_bytes), dtype=np.uint8)
    with np.errstate(all="ignore"):  # some of the random scales are infinite
        expected = gguf.quants.dequantize(raw, kind).astype(np.float32)
    found = _core.dequantize(raw, type.lower(), 1024)
    finite = np.isfinite(expected)
    assert np.array_equal(found[finite], expected[finite])
    assert not np.isfinite(found[~finite]).any()


@pytest.mark.parametrize(
    ("type", "number"),
    [("q8_0", np.nan), ("q4_0", np.inf), ("f16", 70000.0), ("f32", -np.inf), ("bf16", np.nan)],
)
def test_a_number_the_type_cannot_hold(type: str, number: float) -> None:
    values = np.zeros((40, 64), np.float32)
    values[33, 5] = number
    with pytest.raises(ValueError, match="row 33, column 5"):
        _core.quantize(values, type, n_threads=2)


def test_wrong_arguments() -> None:
    values = np.zeros((2, 40), np.float32)
    with pytest.raises(ValueError, match="rows of 40 numbers do not divide into blocks of 32"):
        _core.quantize(values, "q8_0")
    with pytest.raises(ValueError, match='named "q9"'):
        _core.quantize(values, "q9")
    with pytest.raises(ValueError, match="choose f32, f16, bf16, q8_0 or q4_0"):
        _core.quantize(np.zeros((1, 256), np.float32), "q6_k")
    with pytest.raises(ValueError, match="rows of 34 bytes"):
        _core.dequantize(np.zeros((1, 33), np.uint8), "q8_0", 32)
