"""The models that llama.cpp's quantizer was given (tools/make_llama_cpp_files.py): one as wide as
blocks of 256 numbers want it, and one for which it falls back to blocks of 32."""

from __future__ import annotations

from pathlib import Path

from tiny_models import TinyModel

FOLDER = Path(__file__).parent / "data" / "llama_cpp"

WIDE = TinyModel("wide", n_layer=5, n_head=4, n_embd=256, n_inner=256, n_vocab=64)
NARROW = TinyModel("narrow", n_layer=1, n_head=2, n_embd=64, n_inner=128, n_vocab=64)

# What llama.cpp's quantizer makes of both without further data, and what it needs importances of
# the inputs for.
WITHOUT_DATA = ["q2_0", "q2_k", "q3_k_s", "q3_k_m", "q3_k_l", "q4_0", "q4_1", "q4_k_s", "q4_k_m",
                "q5_0", "q5_1", "q5_k_s", "q5_k_m", "q6_k", "q8_0", "iq3_s", "iq3_m", "iq4_nl",
                "iq4_xs", "tq1_0", "tq2_0", "f16", "bf16"]  # fmt: skip
WITH_IMPORTANCES = ["iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq2_m", "iq3_xxs", "iq3_xs"]

# Every matrix of the wide model has a type of its own.
QKV_TYPES = ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S"]
OTHER_TYPES = ["IQ3_XXS", "IQ3_S", "IQ4_NL", "IQ4_XS", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
               "TQ1_0", "TQ2_0", "Q1_0", "Q2_0", "MXFP4", "NVFP4"]  # fmt: skip
OTHER_NAMES = ("attn_output", "ffn_up", "ffn_down")

WIDE_TYPES = {f"blk.{i}.attn_qkv.weight": type for i, type in enumerate(QKV_TYPES)} | {
    f"blk.{i // 3}.{OTHER_NAMES[i % 3]}.weight": type for i, type in enumerate(OTHER_TYPES)
}
# The quantizer's own choice for the narrow one, where it was asked for IQ3_M.
NARROW_TYPES = {
    "blk.0.attn_qkv.weight": "Q5_0",
    "blk.0.attn_output.weight": "Q5_0",
    "blk.0.ffn_up.weight": "IQ4_NL",
    "blk.0.ffn_down.weight": "IQ4_NL",
}
