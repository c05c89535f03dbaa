"""tools/judge_quantization.py, in short: a mixture against ggml's Q4_0 of the same size."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pygpt2edge import GPT2, _core, demo_model_path
from pygpt2edge.convert import convert

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))

from judge_quantization import judge  # noqa: E402


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model, with what its rounding to 4 bits may have taken: uniform noise of a step."""
    path = tmp_path_factory.mktemp("judged") / "f32.gguf"
    convert(demo_model_path(), path, "f32", allow_requantize=True)
    random = np.random.default_rng(1)
    for tensor in _core.GgufFile(str(path)).tensors:
        if len(tensor.shape) < 2 or tensor.name == "position_embd.weight":
            continue
        values = np.memmap(path, np.float32, "r+", tensor.offset, tuple(tensor.shape))
        blocks = values.reshape(-1, 32)
        steps = np.abs(blocks).max(axis=1, keepdims=True) / 8
        blocks += steps * (random.random(blocks.shape, np.float32) - np.float32(0.5))
        values.flush()
    return path


@pytest.mark.slow
def test_a_mixture_is_closer_than_q4_0(exact: Path, tmp_path: Path) -> None:
    # Bit for bit what llama.cpp writes as pure Q4_0.
    other = convert(exact, tmp_path / "q4_0.gguf", "q4_0", rounding="reference").out
    # Of the kind that the model was trained on.
    text = GPT2().generate("It is", max_tokens=500, seed=1, ignore_eos=True).text
    (rows,) = judge(exact, None, [other], [text], tmp_path, max_windows=1, bits=[4.5])
    itself, its_own, mixture, _q8_0, small = rows
    assert itself.found.kl_mean == 0
    assert (its_own.ratio, mixture.label) == (None, "mixture")
    assert mixture.path.stat().st_size <= other.stat().st_size
    assert mixture.meets_its_goal
    # The goal for 4.5 bits is a perplexity within 2%.
    assert small.path.stat().st_size < mixture.path.stat().st_size
    assert small.found.perplexity < 1.02 * itself.found.perplexity
