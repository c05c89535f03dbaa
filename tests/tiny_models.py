"""Small GPT-2 models, drawn from a fixed stream of random numbers and written as GGUF.

The same weights are given to Hugging Face's GPT2LMHeadModel by tools/make_model_golden.py, whose
logits are committed: tests compare with them without needing torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from pygpt2edge import _core

Weights = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class TinyModel:
    """A shape, in GPT-2's terms."""

    name: str
    n_layer: int
    n_head: int
    n_embd: int
    n_inner: int
    n_ctx: int = 64
    n_vocab: int = 300
    activation_function: str = "gelu_new"
    tied: bool = True
    seed: int = 1


MODELS = {
    model.name: model
    for model in (
        TinyModel("plain", n_layer=3, n_head=4, n_embd=256, n_inner=512),
        TinyModel("odd-heads", n_layer=2, n_head=5, n_embd=160, n_inner=640, n_vocab=331),
        TinyModel("narrow-heads", n_layer=2, n_head=4, n_embd=80, n_inner=200, n_ctx=50),
        TinyModel("erf-untied", 2, 3, 96, 384, activation_function="gelu", tied=False),
        TinyModel("quick-gelu", 2, 3, 96, 384, n_vocab=64, activation_function="quick_gelu"),
        TinyModel("silu", 2, 3, 96, 384, n_vocab=64, activation_function="silu"),
        TinyModel("relu", 2, 3, 96, 384, n_vocab=64, activation_function="relu"),
        TinyModel("tanh", 2, 3, 96, 384, n_vocab=64, activation_function="tanh"),
        TinyModel("xl-width", n_layer=1, n_head=25, n_embd=1600, n_inner=6400, n_vocab=64),
    )
}

# Hugging Face's name in a layer -> GGUF's
LAYER_NAMES = {
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}


def draw_weights(model: TinyModel) -> Weights:
    """Weights under Hugging Face's names, of the spread that training gives, with two channels of
    the residual stream far larger than the rest, as GPT-2's are."""
    random = np.random.RandomState(model.seed)  # a stream that never changes

    def normal(*shape: int, scale: float) -> NDArray[np.float32]:
        return (random.standard_normal(shape) * scale).astype(np.float32)

    embd, inner = model.n_embd, model.n_inner
    weights = {
        "wte.weight": normal(model.n_vocab, embd, scale=0.1),
        "wpe.weight": normal(model.n_ctx, embd, scale=0.05),
    }
    weights["wpe.weight"][:, [3, embd // 2]] += np.float32(4.0)
    for i in range(model.n_layer):
        shapes = {"attn.c_attn": (embd, 3 * embd), "attn.c_proj": (embd, embd)}
        shapes |= {"mlp.c_fc": (embd, inner), "mlp.c_proj": (inner, embd)}
        for name in LAYER_NAMES:
            if name in shapes:
                n_in, n_out = shapes[name]
                weights[f"h.{i}.{name}.weight"] = normal(n_in, n_out, scale=1.2 / n_in**0.5)
                weights[f"h.{i}.{name}.bias"] = normal(n_out, scale=0.1)
            else:
                weights[f"h.{i}.{name}.weight"] = 1 + normal(embd, scale=0.2)
                weights[f"h.{i}.{name}.bias"] = normal(embd, scale=0.1)
    weights["ln_f.weight"] = 1 + normal(embd, scale=0.2)
    weights["ln_f.bias"] = normal(embd, scale=0.1)
    if not model.tied:
        weights["lm_head.weight"] = normal(model.n_vocab, embd, scale=0.1)
    return weights


def some_tokens(model: TinyModel, n: int, seed: int = 7) -> NDArray[np.int32]:
    random = np.random.RandomState(seed)
    return random.randint(0, model.n_vocab, n).astype(np.int32)


def gguf_tensors(model: TinyModel, weights: Weights) -> Weights:
    """The same weights under GGUF's names, matrices as (n_out, n_in)."""
    tensors = {
        "token_embd.weight": weights["wte.weight"],
        "position_embd.weight": weights["wpe.weight"],
        "output_norm.weight": weights["ln_f.weight"],
        "output_norm.bias": weights["ln_f.bias"],
    }
    for i in range(model.n_layer):
        for name, gguf_name in LAYER_NAMES.items():
            for part in ("weight", "bias"):
                value = weights[f"h.{i}.{name}.{part}"]
                tensors[f"blk.{i}.{gguf_name}.{part}"] = value.T if value.ndim == 2 else value
    if not model.tied:
        tensors["output.weight"] = weights["lm_head.weight"]
    return tensors


def byte_vocabulary(n_vocab: int, merges: tuple[str, ...] = ()) -> tuple[list[str], list[int]]:
    """The 256 bytes as GPT-2 spells them, what the merges make, fillers, and the end-of-text token
    last."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    spelled = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    tokens = [spelled[b] for b in range(256)] + [merge.replace(" ", "") for merge in merges]
    tokens = tokens[: n_vocab - 1]
    types = [1] * len(tokens)
    tokens += [f"[PAD{i}]" for i in range(len(tokens), n_vocab - 1)] + ["<|endoftext|>"]
    types += [5] * (n_vocab - 1 - len(types)) + [3]
    return tokens, types


def write_gguf(
    path: Path, model: TinyModel, weights: Weights, type: str = "f32", merges: tuple[str, ...] = ()
) -> Path:
    """Writes the model with its matrices in `type`. Types this package does not write are made by
    the gguf package's own quantizers."""
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_block_count(model.n_layer)
    writer.add_context_length(model.n_ctx)
    writer.add_embedding_length(model.n_embd)
    writer.add_feed_forward_length(model.n_inner)
    writer.add_head_count(model.n_head)
    writer.add_layer_norm_eps(1e-5)
    if model.activation_function != "gelu_new":
        writer.add_string("pygpt2edge.activation_function", model.activation_function)
    tokens, types = byte_vocabulary(model.n_vocab, merges)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(model.n_vocab - 1)
    writer.add_eos_token_id(model.n_vocab - 1)
    quantized = gguf.GGMLQuantizationType[type.upper()]
    for name, value in gguf_tensors(model, weights).items():
        array = np.ascontiguousarray(value)
        if array.ndim == 1 or name == "position_embd.weight" or type == "f32":
            writer.add_tensor(name, array)
        else:
            writer.add_tensor(name, blocks(array, type), raw_dtype=quantized)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def blocks(array: NDArray[np.float32], type: str) -> NDArray[np.uint8]:
    if type in ("q4_k", "q5_k", "q6_k"):
        return k_blocks(array, type)
    if type in ("f16", "bf16", "q8_0", "q4_0"):
        return _core.quantize(array, type)
    return gguf.quants.quantize(array, gguf.GGMLQuantizationType[type.upper()])


def k_blocks(array: NDArray[np.float32], type: str) -> NDArray[np.uint8]:
    """Blocks with random codes, and scales that give weights of about the array's spread: the gguf
    package reads the K types but does not make them."""
    n_bytes = {"q4_k": 144, "q5_k": 176, "q6_k": 210}[type]
    random = np.random.RandomState(array.size % 1000)
    n_rows, n_in = array.shape
    raw = random.randint(0, 256, (n_rows, n_in // 256, n_bytes)).astype(np.uint8)
    if type == "q6_k":
        scales = random.randint(-40, 40, (n_rows, n_in // 256, 16)).astype(np.int8)
        raw[:, :, 192:208] = scales.view(np.uint8)
        scale = np.full((n_rows, n_in // 256), array.std() / 20 / 18, np.float16)
        raw[:, :, 208:210] = scale.view(np.uint8).reshape(n_rows, -1, 2)
    else:
        top = 15 if type == "q4_k" else 31
        scale = np.full((n_rows, n_in // 256), array.std() / 20 / top * 4, np.float16)
        minimum = scale * np.float16(top / 2)
        raw[:, :, 0:2] = scale.view(np.uint8).reshape(n_rows, -1, 2)
        raw[:, :, 2:4] = minimum.view(np.uint8).reshape(n_rows, -1, 2)
    return raw.reshape(n_rows, -1)
