"""A GPT-2 in NumPy, as plainly as it can be written."""

from __future__ import annotations

import math

import numpy as np
from plain_activations import ACTIVATIONS


def gpt2(out, tokens: np.ndarray) -> np.ndarray:
    """Logits (n_tokens, n_vocab) of the model in a GGUF, in float64."""
    metadata = out.metadata
    n_head = metadata["gpt2.attention.head_count"]
    epsilon = metadata["gpt2.attention.layer_norm_epsilon"]
    activation = ACTIVATIONS[metadata.get("pygpt2edge.activation_function", "gelu_new")]

    def weight(name: str) -> np.ndarray:
        return out.values(name).astype(np.float64)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
        return scaled * weight(f"{name}.weight") + weight(f"{name}.bias")

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weight(f"{name}.weight").T + weight(f"{name}.bias")

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
        hidden = activation(linear(norm(x, f"blk.{i}.ffn_norm"), f"blk.{i}.ffn_up"))
        x = x + linear(hidden, f"blk.{i}.ffn_down")
    has_output = "output.weight" in out.types
    head = weight("output.weight") if has_output else embedding
    return norm(x, "output_norm") @ head.T
