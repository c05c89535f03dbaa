"""A converted file means what the checkpoint meant, variants of attention and GELU included.

The oracle is a GPT-2 in NumPy that knows the file and one way to compute: scores divided by
sqrt(d_head). Its logits must be those of Hugging Face transformers for every variant.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from plain_gpt2 import gpt2

from pygpt2edge.convert import convert

VARIANTS = ["standard", "gelu", "inverse_layer", "unscaled", "all", "untied"]


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
