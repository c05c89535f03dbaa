"""The keys of a file are those of llama.cpp's converter, with the same types."""

from __future__ import annotations

import pytest

from pygpt2edge.convert import convert


@pytest.fixture
def converted(tmp_path, read_gguf):
    def make(source, kind="q8_0"):
        return read_gguf(convert(source, tmp_path / "out.gguf", kind).out)

    return make


def test_keys_and_types(converted, data):
    out = converted(data / "hugging_face")
    expected = {
        "general.architecture": ("STRING", "gpt2"),
        "general.type": ("STRING", "model"),
        "general.name": ("STRING", "hugging_face"),
        "general.file_type": ("UINT32", 7),
        "general.quantization_version": ("UINT32", 2),
        "gpt2.block_count": ("UINT32", 2),
        "gpt2.context_length": ("UINT32", 16),
        "gpt2.embedding_length": ("UINT32", 32),
        "gpt2.feed_forward_length": ("UINT32", 128),
        "gpt2.attention.head_count": ("UINT32", 4),
        "tokenizer.ggml.model": ("STRING", "gpt2"),
        "tokenizer.ggml.pre": ("STRING", "gpt-2"),
        "tokenizer.ggml.bos_token_id": ("UINT32", 288),
        "tokenizer.ggml.eos_token_id": ("UINT32", 288),
        "tokenizer.ggml.add_bos_token": ("BOOL", False),
    }
    for key, (kind, value) in expected.items():
        assert (out.kinds[key], out.metadata[key]) == ([kind], value), key
    assert out.kinds["gpt2.attention.layer_norm_epsilon"] == ["FLOAT32"]
    assert out.metadata["gpt2.attention.layer_norm_epsilon"] == pytest.approx(1e-5)
    assert out.kinds["tokenizer.ggml.tokens"] == ["ARRAY", "STRING"]
    assert out.kinds["tokenizer.ggml.token_type"] == ["ARRAY", "INT32"]
    assert len(out.metadata["tokenizer.ggml.tokens"]) == 296
    assert len(out.metadata["tokenizer.ggml.token_type"]) == 296
    assert len(out.metadata["tokenizer.ggml.merges"]) == 32
    assert not any(key.startswith("pygpt2edge.") for key in out.metadata)


@pytest.mark.parametrize(
    ("kind", "code"), [("f32", 0), ("f16", 1), ("q4_0", 2), ("q8_0", 7), ("bf16", 32)]
)
def test_file_type(converted, data, kind, code):
    assert converted(data / "hugging_face", kind).metadata["general.file_type"] == code


def test_data_is_aligned_and_ends_with_the_file(converted, data):
    out = converted(data / "openai")
    assert all(tensor.data_offset % 32 == 0 for tensor in out.reader.tensors)
    last = max(out.reader.tensors, key=lambda tensor: tensor.data_offset)
    end = last.data_offset + last.n_bytes
    assert end <= out.reader.data.size < end + 32


def test_default_ids_that_are_no_tokens_give_way_to_the_end_of_text(
    converted, hf_folder, change_json
):
    change_json(hf_folder / "config.json", bos_token_id=50256, eos_token_id=None)
    out = converted(hf_folder)
    assert out.metadata["tokenizer.ggml.bos_token_id"] == 288
    assert out.metadata["tokenizer.ggml.eos_token_id"] == 288


def test_ids_of_the_configuration(converted, hf_folder, change_json):
    change_json(hf_folder / "config.json", bos_token_id=5, eos_token_id=[289, 288], pad_token_id=0)
    out = converted(hf_folder)
    assert out.metadata["tokenizer.ggml.bos_token_id"] == 5
    assert out.metadata["tokenizer.ggml.eos_token_id"] == 289
    assert out.metadata["tokenizer.ggml.padding_token_id"] == 0


@pytest.mark.parametrize("name", ["gelu", "relu", "silu"])
def test_another_activation_is_written_down(tmp_path, hf_folder, change_json, read_gguf, name):
    change_json(hf_folder / "config.json", activation_function=name)
    first = convert(hf_folder, tmp_path / "first.gguf", "f16")
    again = convert(first.out, tmp_path / "again.gguf", "q8_0")
    for report in (first, again):
        assert read_gguf(report.out).metadata["pygpt2edge.activation_function"] == name
        assert any("llama.cpp does not look" in line for line in report.warnings)
