"""Blocks: those of ggml's reference quantizers, bit for bit, and back."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from pygpt2edge import _core

READABLE = ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K",
            "Q6_K", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_NL",
            "IQ4_XS", "TQ1_0", "TQ2_0", "MXFP4", "NVFP4"]  # fmt: skip
WRITABLE = ["f16", "bf16", "q8_0", "q4_0"]
LARGEST_HALF = 65504.0


def reference(values: NDArray[np.float32], type: str) -> NDArray[np.uint8]:
    quantized = gguf.quants.quantize(values, gguf.GGMLQuantizationType[type.upper()])
    return quantized.view(np.uint8).reshape(len(values), -1)


def assert_equals_reference(values: NDArray[np.float32], type: str) -> None:
    found, expected = _core.quantize(values, type, rounding="reference"), reference(values, type)
    if type in ("q8_0", "q4_0"):
        # A block of zeros may carry a scale of -0 (as ggml's C code writes it) or 0.
        zeros = ~values.reshape(-1, 32).any(axis=1)
        found, expected = (x.reshape(len(zeros), -1).copy() for x in (found, expected))
        found[zeros, :2] = expected[zeros, :2] = 0
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("type", WRITABLE)
@pytest.mark.parametrize("spread", [1e-8, 1e-3, 1.0, 300.0])
def test_equals_the_reference(type: str, spread: float) -> None:
    values = np.random.default_rng(3).standard_normal((64, 1600)).astype(np.float32)
    assert_equals_reference(values * np.float32(spread), type)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    values=hnp.arrays(
        np.float32,
        (2, 64),
        elements=st.one_of(
            st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 127, -127, 63.5, 8, -8, 7.5, -7.5]),
            st.floats(2**-100, 2**15, width=32),
            st.floats(-(2**15), -(2**-100), width=32),
        ),
    )
)
@pytest.mark.parametrize("type", WRITABLE)
def test_equals_the_reference_on_awkward_numbers(type: str, values: NDArray[np.float32]) -> None:
    assert_equals_reference(values, type)


@pytest.mark.parametrize("type", ["q8_0", "q4_0"])
def test_equals_the_reference_where_rounding_is_close(type: str) -> None:
    """Numbers at and beside the middle between two codes, under scales that are no power of two."""
    random = np.random.default_rng(4)
    most = {"q8_0": 127, "q4_0": 8}[type]
    scales = random.uniform(0.5, 2, (2000, 1)) * random.choice([-1, 1], (2000, 1))
    values = (random.integers(-most, most, (2000, 32)) + 0.5) * scales
    values[:, 7] = most * scales[:, 0]
    middle = values.astype(np.float32)
    for direction in (-np.inf, np.inf):
        assert_equals_reference(middle, type)
        middle = np.nextafter(middle, np.float32(direction))
        assert_equals_reference(middle, type)


def test_q4_0_gives_its_longest_code_to_the_first_extreme() -> None:
    values = np.zeros((2, 32), np.float32)
    values[0, [3, 9]] = 4.0, -4.0
    values[1, [3, 9]] = -4.0, 4.0
    restored = _core.dequantize(_core.quantize(values, "q4_0", rounding="reference"), "q4_0", 32)
    assert restored[:, [3, 9]].tolist() == [[4.0, -3.5], [-4.0, 3.5]]


@pytest.mark.parametrize("type", ["q8_0", "q4_0"])
@pytest.mark.parametrize("size", [1e-45, 1e-40, 1e-38, 1e-30, 1e-9])
def test_numbers_too_small_for_a_scale_become_zero(type: str, size: float) -> None:
    values = np.full((1, 32), size, np.float32)
    values[0, ::2] *= -1
    restored = _core.dequantize(_core.quantize(values, type), type, 32)
    assert not restored.any()


@given(values=hnp.arrays(np.float32, (1, 32), elements=st.floats(-65504, 65504, width=32)))
def test_f16_rounds_as_numpy_does(values: NDArray[np.float32]) -> None:
    expected = values.astype(np.float16)
    assert np.array_equal(_core.quantize(values, "f16"), expected.view(np.uint8))


def test_every_half_float_survives() -> None:
    bits = np.arange(65536, dtype=np.uint16)
    halves = bits[np.isfinite(bits.view(np.float16))].reshape(1, -1)
    floats = _core.dequantize(halves.view(np.uint8), "f16", halves.shape[1])
    expected = halves.view(np.float16).astype(np.float32)
    assert np.array_equal(floats.view(np.uint32), expected.view(np.uint32))
    assert np.array_equal(_core.quantize(floats, "f16"), halves.view(np.uint8))


def test_half_floats_round_to_even_between_every_two_neighbours() -> None:
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    middle = (halves[:-1] + halves[1:]) / 2
    for values in (middle, np.nextafter(middle, np.float32(0)), -middle):
        found = _core.quantize(values.reshape(1, -1), "f16").view(np.float16)[0]
        assert np.array_equal(found, values.astype(np.float16))


@pytest.mark.parametrize("type", READABLE)
def test_dequantizes_as_the_reference(type: str) -> None:
    kind = gguf.GGMLQuantizationType[type]
    block_size, block_bytes = gguf.GGML_QUANT_SIZES[kind]
    random = np.random.default_rng(5)
    raw = random.integers(0, 256, (64, 1024 // block_size * block_bytes), dtype=np.uint8)
    with np.errstate(all="ignore"):  # some of the random scales are infinite
        expected = gguf.quants.dequantize(raw, kind).astype(np.float32)
    found = _core.dequantize(raw, type.lower(), 1024)
    # The two may disagree on the sign of a zero and on the bits of a NaN, in nothing else.
    assert np.array_equal(found, expected, equal_nan=True)


def test_types_of_one_and_two_bits() -> None:
    """Which the reference does not dequantize: 128 signs or 64 codes -1 .. 2, and a half float."""
    random = np.random.default_rng(6)
    scales = random.standard_normal((5, 4, 1)).astype(np.float16)
    bits = random.integers(0, 256, (5, 4, 16), dtype=np.uint8)
    blocks = np.concatenate([scales.view(np.uint8), bits], axis=2).reshape(5, -1)
    signs = np.unpackbits(bits, axis=2, bitorder="little")
    expected = scales.astype(np.float32) * (2 * signs.astype(np.float32) - 1)
    assert np.array_equal(_core.dequantize(blocks, "q1_0", 512), expected.reshape(5, 512))
    codes = bits[..., None] >> np.array([0, 2, 4, 6], np.uint8) & 3
    expected = scales.astype(np.float32) * (codes.reshape(5, 4, 64).astype(np.float32) - 1)
    assert np.array_equal(_core.dequantize(blocks, "q2_0", 256), expected.reshape(5, 256))


def block_errors(values: NDArray[np.float32], blocks: NDArray[np.uint8], type: str) -> NDArray[Any]:
    """The sum of squared errors of each block of 32."""
    restored = _core.dequantize(blocks, type, values.shape[1]).astype(np.float64)
    return ((restored - values) ** 2).reshape(-1, 32).sum(axis=1)


@pytest.mark.parametrize(("type", "gain"), [("q4_0", 0.95), ("q8_0", 0.90)])
def test_a_searched_scale_errs_less(type: str, gain: float) -> None:
    values = np.random.default_rng(8).standard_normal((100, 320)).astype(np.float32)
    plain = block_errors(values, _core.quantize(values, type, rounding="reference"), type)
    searched = block_errors(values, _core.quantize(values, type), type)
    assert (searched <= plain * (1 + 1e-6)).all()
    assert np.sqrt(searched.mean()) < gain * np.sqrt(plain.mean())


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(values=hnp.arrays(np.float32, (1, 32), elements=st.floats(-500000, 500000, width=32)))
@pytest.mark.parametrize("type", ["q4_0", "q8_0"])
def test_a_searched_scale_is_never_worse(type: str, values: NDArray[np.float32]) -> None:
    plain = block_errors(values, _core.quantize(values, type, rounding="reference"), type)
    searched = block_errors(values, _core.quantize(values, type), type)
    # The search adds up in single precision: numbers too small to square there are all the same.
    assert searched <= plain * (1 + 1e-6) + 1e-37


def test_scale_search_leaves_plain_types_and_exact_blocks_alone() -> None:
    values = np.random.default_rng(9).standard_normal((3, 64)).astype(np.float32)
    for type in ("f32", "f16", "bf16"):
        searched = _core.quantize(values, type)
        assert np.array_equal(searched, _core.quantize(values, type, rounding="reference"))
    exact = np.tile(np.arange(-8, 8, dtype=np.float32), 4).reshape(1, 64)
    assert np.array_equal(
        _core.quantize(exact, "q4_0"), _core.quantize(exact, "q4_0", rounding="reference")
    )


# Of normal numbers, the error that each type leaves.
SEARCHED = {"q8_0": 0.005, "q6_k": 0.017, "q5_1": 0.034, "q5_k": 0.036, "q5_0": 0.042,
            "q4_1": 0.071, "q4_k": 0.073, "iq4_nl": 0.076, "iq4_xs": 0.077, "q4_0": 0.084,
            "q3_k": 0.150}  # fmt: skip


def relative_error(found: NDArray[Any], expected: NDArray[Any]) -> float:
    return float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))


@pytest.mark.parametrize("type", SEARCHED)
def test_the_error_of_each_type(type: str) -> None:
    values = np.random.default_rng(1).standard_normal((64, 1024)).astype(np.float32)
    restored = _core.dequantize(_core.quantize(values, type), type, 1024)
    assert relative_error(restored, values) < SEARCHED[type]
    # The reference's reader agrees on what was written.
    blocks = _core.quantize(values, type)
    expected = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[type.upper()])
    assert np.array_equal(restored, expected)


@pytest.mark.parametrize("type", SEARCHED)
@pytest.mark.parametrize("spread", [0.0, 1e-38, 1e-12, 1e4])
def test_extreme_numbers_stay_finite(type: str, spread: float) -> None:
    values = np.random.default_rng(2).standard_normal((3, 256)).astype(np.float32)
    restored = _core.dequantize(_core.quantize(values * np.float32(spread), type), type, 256)
    assert np.isfinite(restored).all()
    assert np.abs(restored).max() <= 6 * spread


@pytest.mark.parametrize("type", SEARCHED)
def test_columns_that_count_more_err_less(type: str) -> None:
    values = np.random.default_rng(3).standard_normal((64, 256)).astype(np.float32)
    weights = np.where(np.arange(256) % 4 == 0, 50, 1).astype(np.float32)
    plain = _core.dequantize(_core.quantize(values, type), type, 256)
    weighted = _core.dequantize(_core.quantize(values, type, weights=weights), type, 256)
    assert relative_error(weighted[:, ::4], values[:, ::4]) < 0.97 * relative_error(
        plain[:, ::4], values[:, ::4]
    )


@pytest.mark.parametrize("type", SEARCHED)
def test_error_feedback_brings_the_outputs_closer(type: str) -> None:
    random = np.random.default_rng(4)
    values = random.standard_normal((64, 256)).astype(np.float32)
    mixing = random.standard_normal((256, 256)) / 10 + np.eye(256)
    inputs = (random.standard_normal((2000, 256)) @ mixing).astype(np.float32)
    moments = (inputs.T @ inputs / 2000).astype(np.float32)
    weights, matrix = factored(moments, 0.01, 1)
    plain = _core.dequantize(_core.quantize(values, type), type, 256)
    blocks = _core.quantize_with_feedback(values, type, weights, matrix, 1)
    better = _core.dequantize(blocks, type, 256)
    outputs = values @ inputs.T
    assert relative_error(better @ inputs.T, outputs) < 0.85 * relative_error(
        plain @ inputs.T, outputs
    )
    assert np.array_equal(_core.quantize_with_feedback(values, type, weights, matrix, 3), blocks)
    for again, first in zip(factored(moments, 0.01, 5), (weights, matrix), strict=True):
        assert np.array_equal(again, first)


def factored(
    moments: np.ndarray, damping: float, n_threads: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The weights and the matrix, of moments that stay as they are."""
    matrix = moments.copy()
    return _core.factor_second_moments(matrix, damping, n_threads), matrix


def test_second_moments_are_factored() -> None:
    random = np.random.default_rng(5)
    inputs = random.standard_normal((500, 96)).astype(np.float32)
    moments = (inputs.T @ inputs / 500).astype(np.float32)
    weights, matrix = factored(moments, 0.5)
    mean = np.trace(moments) / 96
    assert np.allclose(np.tril(matrix), np.eye(96))
    product = matrix @ np.diag(weights * mean) @ matrix.T
    assert np.allclose(product, moments + 0.5 * mean * np.eye(96), atol=1e-4)
    nothing = factored(np.zeros((32, 32), np.float32), 0.01)
    assert np.array_equal(nothing[1], np.eye(32))


@pytest.mark.parametrize("type", ["f32", *WRITABLE])
def test_threads_change_nothing(type: str) -> None:
    values = np.random.default_rng(6).standard_normal((7, 64)).astype(np.float32)
    alone = _core.quantize(values, type, 1)
    for n_threads in (0, 2, 3, 7, 50, 10**9):
        assert np.array_equal(_core.quantize(values, type, n_threads), alone)


@pytest.mark.parametrize("type", ["f32", *WRITABLE])
def test_no_rows(type: str) -> None:
    blocks = _core.quantize(np.zeros((0, 64), np.float32), type)
    assert blocks.shape == (0, _core.quantize(np.zeros((1, 64), np.float32), type).shape[1])
    assert _core.dequantize(blocks, type, 64).shape == (0, 64)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("type", ["f32", *WRITABLE])
def test_a_number_that_is_none(type: str, number: float) -> None:
    values = np.zeros((40, 64), np.float32)
    values[33, 5] = values[38, 1] = number
    for n_threads in (1, 2):
        with pytest.raises(ValueError, match=f"row 33, column 5 is -?{abs(number)}.*damaged"):
            _core.quantize(values, type, n_threads)


@pytest.mark.parametrize(
    ("type", "largest"),
    [
        ("f16", LARGEST_HALF),
        ("q8_0", 127 * LARGEST_HALF),
        ("q4_0", 8 * LARGEST_HALF),
        ("bf16", float.fromhex("0x1.fep127")),
    ],
)
def test_the_range_of_a_type(type: str, largest: float) -> None:
    values = np.zeros((2, 32), np.float32)
    values[1, 30] = -largest
    restored = _core.dequantize(_core.quantize(values, type), type, 32)
    assert restored[1, 30] == -np.float32(largest)
    values[1, 30] = np.nextafter(-np.float32(largest), np.float32(-np.inf))
    cannot = f"row 1, column 30.*{type.upper()} cannot hold: choose f32"
    with pytest.raises(ValueError, match=cannot):
        _core.quantize(values, type)


def test_wrong_arguments() -> None:
    values = np.zeros((2, 40), np.float32)
    with pytest.raises(ValueError, match="rows have 40 numbers, expected a multiple of 32"):
        _core.quantize(values, "q8_0")
    with pytest.raises(ValueError, match='named "q9": expected one of f32, f16'):
        _core.quantize(values, "q9")
    with pytest.raises(ValueError, match="cannot quantize to Q2_K: choose f32"):
        _core.quantize(np.zeros((1, 256), np.float32), "q2_k")
    with pytest.raises(ValueError, match="1 dimensions, expected 2"):
        _core.quantize(np.zeros(32, np.float32), "q8_0")
    with pytest.raises(ValueError, match="n_threads is negative"):
        _core.quantize(values, "f32", -1)
    with pytest.raises(ValueError, match="rows of 34 bytes"):
        _core.dequantize(np.zeros((1, 33), np.uint8), "q8_0", 32)
    with pytest.raises(ValueError, match="n_in is 33, expected a multiple of 32"):
        _core.dequantize(np.zeros((1, 34), np.uint8), "q8_0", 33)
    with pytest.raises(TypeError):
        _core.quantize(np.zeros((1, 32), np.float64), "q8_0")  # digits would be lost
