"""config.json as all kinds of programs write it, and what is refused."""

from __future__ import annotations

import pytest

from pygpt2edge.convert import convert, inspect_checkpoint
from pygpt2edge.errors import FormatError, UnsupportedError


@pytest.fixture
def config(hf_folder, change_json):
    """config(key=value, other=None) -> the ModelConfig read after that change."""

    def read(**changes):
        change_json(hf_folder / "config.json", **changes)
        return inspect_checkpoint(hf_folder).config

    return read


def test_defaults_of_what_old_configurations_leave_out(config):
    read = config(
        model_type=None, layer_norm_epsilon=None, activation_function=None, n_inner=None,
        scale_attn_weights=None, scale_attn_by_inverse_layer_idx=None, tie_word_embeddings=None,
    )  # fmt: skip
    assert (read.layer_norm_epsilon, read.activation_function) == (1e-5, "gelu_new")
    assert (read.n_inner, read.d_head) == (128, 8)
    assert read.query_scale(1) == 1


@pytest.mark.parametrize("names", [("n_ctx", "n_positions"), ("n_ctx",), ("n_positions",)])
def test_context_under_either_name(config, names):
    assert config(**({"n_ctx": None, "n_positions": None} | dict.fromkeys(names, 16))).n_ctx == 16


@pytest.mark.parametrize(
    ("name", "expected"),
    [("gelu_new", "gelu_new"), ("gelu_pytorch_tanh", "gelu_new"), ("gelu_fast", "gelu_new"),
     ("gelu", "gelu"), ("relu", "relu"), ("silu", "silu"), ("swish", "silu"),
     ("quick_gelu", "quick_gelu"), ("tanh", "tanh")],
)  # fmt: skip
def test_activations(config, name, expected):
    assert config(activation_function=name).activation_function == expected


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"activation_function": "mish"}, UnsupportedError, "activation_function is 'mish'"),
        ({"model_type": "llama"}, UnsupportedError, "model_type is 'llama', expected 'gpt2'"),
        ({"add_cross_attention": True}, UnsupportedError, "add_cross_attention"),
        ({"quantization_config": {"bits": 4}}, UnsupportedError, "quantization_config"),
        ({"n_head": 5}, FormatError, "n_embd 32 is not a multiple of n_head 5"),
        ({"n_head": 0}, FormatError, "n_head is 0, expected a whole number"),
        ({"n_layer": -1}, FormatError, "n_layer is -1"),
        ({"n_embd": 2**40}, FormatError, "n_embd is 1099511627776"),
        ({"n_embd": "32"}, FormatError, "n_embd is '32'"),
        ({"n_embd": None}, FormatError, "has no 'n_embd'"),
        ({"layer_norm_epsilon": 0}, FormatError, "layer_norm_epsilon is 0"),
        ({"vocab_size": 50257}, FormatError, r"wte\.weight is \[296, 32\], expected \[50257, 32\]"),
        ({"n_positions": 1024}, FormatError, r"wpe\.weight is \[16, 32\], expected \[1024, 32\]"),
        ({"n_inner": 256}, FormatError, r"c_fc\.weight is \[32, 128\], expected \[32, 256\]"),
        ({"n_layer": 3}, FormatError, r"h\.2\.ln_1\.weight is missing"),
        ({"n_layer": 1}, UnsupportedError, r"h\.1\..* is no part of a GPT-2 of 1 layers"),
    ],
)
def test_refusals_name_the_file_the_field_and_the_value(config, changes, error, words):
    with pytest.raises(error, match=words) as caught:
        config(**changes)
    assert "hugging_face" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"n_embd": 1' + "[" * 100_000, "\xff"])
def test_damaged_json(hf_folder, text):
    (hf_folder / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(FormatError, match=r"config\.json"):
        inspect_checkpoint(hf_folder)


def test_openai_head_count_is_checked(openai_folder, change_json):
    change_json(openai_folder / "hparams.json", n_head=7)
    with pytest.raises(FormatError, match=r"hparams\.json.*n_head 7"):
        inspect_checkpoint(openai_folder)


def test_unknown_type_lists_the_known_ones(data, tmp_path):
    with pytest.raises(ValueError, match="q2_k.*f32, f16, bf16, q8_0, .*q4_0"):
        convert(data / "hugging_face", tmp_path / "out.gguf", "q2_k")
