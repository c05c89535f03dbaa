"""A converted file means what the checkpoint meant, variants of attention and GELU included.

The oracle is a GPT-2 in NumPy that knows the file and one way to compute: scores divided by
sqrt(d_head). Its logits must be those of Hugging Face transformers for every variant.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from pygpt2edge.convert import convert

VARIANTS = ["standard", "gelu", "inverse_layer", "unscaled", "all", "untied"]


def gpt2(out, tokens: np.ndarray) -> np.ndarray:
    """Logits (n_tokens, n_vocab) of the model in a GGUF, in float64."""
    metadata = out.metadata
    n_head = metadata["gpt2.attention.head_count"]
    epsilon = metadata["gpt2.attention.layer_norm_epsilon"]
    is_erf = metadata.get("pygpt2edge.activation_function") == "gelu"

    def weight(name: str) -> np.ndarray:
        return out.values(name).astype(np.float64)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return scaled * weight(f"{name}.weight") + weight(f"{name}.bias")

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weight(f"{name}.weight").T + weight(f"{name}.bias")

    def gelu(x: np.ndarray) -> np.ndarray:
        if is_erf:
            return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    embedding = weight("token_embd.weight")
    x = embedding[tokens] + weight("position_embd.weight")[: len(tokens)]
    future = np.triu(np.full((len(tokens),) * 2, -np.inf), 1)
    for i in range(metadata["gpt2.block_count"]):
        qkv = linear(norm(x, f"blk.{i}.attn_norm"), f"blk.{i}.attn_qkv")
        q, k, v = (
            part.reshape(len(tokens), n_head, -1).swapaxes(0, 1) for part in np.split(qkv, 3, -1)
        )
        scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1]) + future
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = (shares @ v).swapaxes(0, 1).reshape(len(tokens), -1)
        x = x + linear(mixed, f"blk.{i}.attn_output")
        hidden = gelu(linear(norm(x, f"blk.{i}.ffn_norm"), f"blk.{i}.ffn_up"))
        x = x + linear(hidden, f"blk.{i}.ffn_down")
    has_output = "output.weight" in out.types
    head = weight("output.weight") if has_output else embedding
    return norm(x, "output_norm") @ head.T


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_those_of_transformers(
    tmp_path, data, hf_folder, change_json, read_gguf, weights, store_safetensors, variant
):
    golden = np.load(data / "logits.npz")
    changes = json.loads((data / "variants.json").read_text())[variant]
    change_json(hf_folder / "config.json", **changes)
    if variant == "untied":
        head = np.flip(weights["wte.weight"], 0).copy()
        stored = weights | {"lm_head.weight": head}
        store_safetensors(hf_folder / "model.safetensors", stored)
    report = convert(hf_folder, tmp_path / "out.gguf", "f32")
    logits = gpt2(read_gguf(report.out), golden["tokens"])[-2:]
    expected = golden[variant]
    assert np.abs(logits - expected).max() < 2e-5 * expected.std()
    assert any("erf" in line for line in report.warnings) == ("gelu" in str(changes))
    for other in set(VARIANTS) - {variant}:  # the variants do differ
        assert np.abs(golden[other] - expected).max() > 2e-4 * expected.std()


def test_folded_scale_is_folded_once(tmp_path, hf_folder, change_json, read_gguf):
    """The output of a variant is a plain GPT-2: converting it again changes nothing."""
    change_json(hf_folder / "config.json", scale_attn_by_inverse_layer_idx=True)
    convert(hf_folder, tmp_path / "once.gguf", "f32")
    convert(tmp_path / "once.gguf", tmp_path / "twice.gguf", "f32")
    once, twice = read_gguf(tmp_path / "once.gguf"), read_gguf(tmp_path / "twice.gguf")
    for name, value in once.blocks.items():
        np.testing.assert_array_equal(twice.blocks[name], value)
