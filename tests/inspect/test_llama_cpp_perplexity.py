"""The perplexity that llama.cpp's tool would give: its logits, by its windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pygpt2edge import GPT2
from pygpt2edge.convert import convert
from pygpt2edge.inspect.evaluate import evaluate
from pygpt2edge.loaded_model import demo_model_path

TEXT = "And God said, Let there be light: and there was light. It is a truth universally. " * 8
N_CTX = 64


@pytest.mark.parametrize(("kind", "noise"), [("f32", 1e-3), ("q8_0", 0.02), ("q4_0", 0.02)])
def test_both_agree(tmp_path: Path, kind: str, noise: float) -> None:
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python")
    from llama_cpp_peer import logits

    path = convert(demo_model_path(), tmp_path / "model.gguf", kind, allow_requantize=True).out
    model = GPT2(path, n_ctx=N_CTX)
    tokens = model.tokenizer.encode(TEXT)
    losses = []
    for start in range(0, len(tokens) - N_CTX + 1, N_CTX):
        window = np.array(tokens[start : start + N_CTX], np.int32)
        rows = logits(path, window)[N_CTX // 2 : -1].astype(np.float64)
        chosen = rows[np.arange(len(rows)), window[N_CTX // 2 + 1 :]]
        losses += [*(np.log(np.exp(rows).sum(axis=1)) - chosen)]
    ours = evaluate(model, TEXT, protocol="llama.cpp")
    assert ours.tokens == len(losses)
    # Both round activations to 8 bits where weights are quantized, each in its own way.
    assert ours.perplexity == pytest.approx(
        np.exp(np.mean(losses)), rel=0.02 if kind != "f32" else 1e-3
    )
