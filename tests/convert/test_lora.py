"""Adapters merged while converting give the model that PEFT's merge_and_unload gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from plain_gpt2 import gpt2
from safetensors.numpy import load_file, save_file

from pygpt2edge.cli import main
from pygpt2edge.convert import convert
from pygpt2edge.errors import FormatError, UnsupportedError

TOKENS = np.array([1, 288, 40, 7, 255, 100, 270, 3])


@pytest.fixture
def adapter(tmp_path, data) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(data / "lora" / "lora", tmp_path / "adapter")


@pytest.mark.parametrize("names", [["lora"], ["rslora"], ["dora"], ["lora", "dora"]])
def test_logits_are_those_of_peft(tmp_path, data, read_gguf, names):
    golden = np.load(data / "lora" / "logits.npz")
    folders = [data / "lora" / name for name in names]
    report = convert(data / "hugging_face", tmp_path / "out.gguf", "f32", lora=folders)
    logits = gpt2(read_gguf(report.out), TOKENS)[-2:]
    expected = golden[" and ".join(names)]
    assert np.abs(logits - expected).max() < 2e-5 * expected.std()
    assert [str(folder) in line for folder, line in zip(folders, report.warnings, strict=True)]
    for other in set(golden.files) - {" and ".join(names)}:
        assert np.abs(golden[other] - expected).max() > 1e-2 * expected.std()


def test_a_quantized_or_converted_base_will_do(tmp_path, data, read_gguf):
    convert(data / "hugging_face", tmp_path / "base.gguf", "f32")
    lora = [data / "lora" / "rslora"]
    convert(tmp_path / "base.gguf", tmp_path / "a.gguf", "f32", lora=lora)
    convert(data / "hugging_face", tmp_path / "b.gguf", "f32", lora=lora)
    first, second = read_gguf(tmp_path / "a.gguf"), read_gguf(tmp_path / "b.gguf")
    for name, blocks in first.blocks.items():
        np.testing.assert_array_equal(blocks, second.blocks[name])


def test_scale(tmp_path, data, read_gguf):
    """No times leaves the matrices as they are, and twice the distance is twice as far."""

    def matrix(name: str, *lora):
        path = tmp_path / name
        convert(data / "hugging_face", path, "f32", lora=lora)
        return read_gguf(path).blocks["blk.1.ffn_up.weight"]

    folder = data / "lora" / "lora"
    plain = matrix("plain.gguf")
    np.testing.assert_array_equal(matrix("none.gguf", (folder, 0.0)), plain)
    once, twice = matrix("once.gguf", folder), matrix("twice.gguf", (folder, 2.0))
    np.testing.assert_allclose(twice - plain, 2 * (once - plain), atol=1e-6)
    assert np.abs(once - plain).max() > 0.01


def test_command(tmp_path, data, read_gguf):
    folder = data / "lora" / "lora"
    convert(data / "hugging_face", tmp_path / "a.gguf", "f32", lora=[(folder, 0.5)])
    command = ["convert", str(data / "hugging_face"), str(tmp_path / "b.gguf"), "--type", "f32",
               "--lora", f"{folder}:0.5"]  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code in (0, None)
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def change(adapter: Path, **settings) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def refused(adapter, data, error, words):
    with pytest.raises(error, match=words):
        convert(data / "hugging_face", adapter.parent / "out.gguf", "f32", lora=[adapter])
    assert not (adapter.parent / "out.gguf").exists()


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"peft_type": "IA3"}, UnsupportedError, "peft_type is 'IA3', expected 'LORA'"),
        ({"r": "four"}, FormatError, "r is 'four', expected a number"),
        ({"r": 0}, FormatError, "r is 0, expected 1 or more"),
        ({"rank_pattern": {"(": 2}}, FormatError, r"rank_pattern '\('"),
        ({"lora_bias": True}, UnsupportedError, "lora_bias is set"),
    ],
)
def test_settings_that_make_no_sense(adapter, data, settings, error, words):
    change(adapter, **settings)
    refused(adapter, data, error, words)


def test_folders_that_are_no_adapters(adapter, data, tmp_path):
    (adapter / "adapter_model.safetensors").unlink()
    refused(adapter, data, FileNotFoundError, "has no adapter_model.safetensors or")
    refused(tmp_path / "nowhere", data, FileNotFoundError, r"nowhere.adapter_config\.json: missing")


C_ATTN = "base_model.model.transformer.h.0.attn.c_attn"


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({f"{C_ATTN}.lora_A.weight": np.zeros((4, 31), np.float32)}, FormatError, "another one"),
        ({f"{C_ATTN}.lora_B.weight": np.zeros((96, 3), np.float32)}, FormatError, "another one"),
        (
            {f"{C_ATTN}.lora_C.weight": np.zeros(3, np.float32)},
            UnsupportedError,
            "lora_C",
        ),
        (
            {"base_model.model.transformer.h.9.attn.c_attn.lora_A.weight": np.zeros((4, 32), "f4")},
            UnsupportedError,
            "adapts 'h.9.attn.c_attn.weight', which the model does not have",
        ),
        ({"base_model.model.lm_head.weight": np.zeros((296, 32), "f4")}, UnsupportedError, "PEFT"),
    ],
)
def test_tensors_that_do_not_fit(adapter, data, changed, error, words):
    path = adapter / "adapter_model.safetensors"
    save_file(load_file(path) | changed, path)
    refused(adapter, data, error, words)
