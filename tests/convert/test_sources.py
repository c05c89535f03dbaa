"""Every kind of checkpoint gives the same model."""

from __future__ import annotations

import json
import shutil
import zipfile

import gguf
import numpy as np
import pytest

from pygpt2edge.convert import convert, inspect_checkpoint
from pygpt2edge.errors import FormatError, UnsupportedError


@pytest.fixture
def check(convert_exactly):
    """The report of a conversion that gives the fixtures' weights to the bit."""
    return lambda source, **extra: convert_exactly(source, **extra)[0]


def test_transformers_folder(check, data):
    report = check(data / "hugging_face")
    assert report.source_kind == "Hugging Face safetensors"
    assert report.n_params == 35456
    assert report.bits_per_weight == 32
    assert report.type_counts == {"F32": 28}
    assert report.n_bytes == report.out.stat().st_size
    assert report.warnings == []


@pytest.mark.parametrize("name", ["zip.bin", "legacy.bin"])
def test_torch_file_with_masks_prefixes_tied_head_and_views(check, torch_folder, name):
    assert check(torch_folder(name)).source_kind == "Hugging Face PyTorch"


def test_torch_file_without_checksums(check, torch_folder):
    """torch.serialization.set_crc32_options(False) leaves zeros in their places."""
    path = torch_folder("zip.bin") / "pytorch_model.bin"
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        checksums = {member.CRC for member in archive.infolist()} - {0}
    for checksum in checksums:
        stored = checksum.to_bytes(4, "little")
        at = content.find(stored)
        while at >= 0:
            content[at : at + 4] = bytes(4)
            at = content.find(stored)
    path.write_bytes(content)
    check(path.parent)


def test_openai_folder(check, data):
    assert check(data / "openai").source_kind == "OpenAI TensorFlow"


def test_openai_fine_tune_with_a_numbered_checkpoint(check, openai_folder):
    for path in openai_folder.glob("model.ckpt.*"):
        path.rename(openai_folder / path.name.replace("model.ckpt", "model-1000"))
    (openai_folder / "checkpoint").write_text('model_checkpoint_path: "/home/me/run1/model-1000"\n')
    check(openai_folder)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "f64"])
@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_dtypes_and_prefixes(check, hf_folder, weights, store_safetensors, dtype, prefix):
    named = {prefix + name: value for name, value in weights.items()}
    store_safetensors(hf_folder / "model.safetensors", named, dtype)
    check(hf_folder)


def test_sharded_safetensors(check, hf_folder, weights, store_safetensors):
    (hf_folder / "model.safetensors").unlink()
    files = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    weight_map = {name: files[name.startswith("h.1.")] for name in weights}
    for file in files:
        part = {name: weights[name] for name in weights if weight_map[name] == file}
        store_safetensors(hf_folder / file, part)
    index = hf_folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    check(hf_folder)
    (hf_folder / files[1]).unlink()
    with pytest.raises(FileNotFoundError, match=r"00002-of-00002.*missing"):
        inspect_checkpoint(hf_folder)


def test_sharded_torch_files(check, hf_folder, data, weights):
    (hf_folder / "model.safetensors").unlink()
    for name in ("zip.bin", "legacy.bin"):
        shutil.copy(data / "torch" / name, hf_folder)
    weight_map = {f"transformer.{n}": f"{'zip' if '.0.' in n else 'legacy'}.bin" for n in weights}
    index = hf_folder / "pytorch_model.bin.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    check(hf_folder)


def test_shard_names_cannot_leave_the_folder(hf_folder, weights):
    (hf_folder / "model.safetensors").rename(hf_folder.parent / "elsewhere.safetensors")
    index = hf_folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(weights, "../elsewhere.safetensors")}))
    with pytest.raises(FormatError, match="expected a name"):
        inspect_checkpoint(hf_folder)


def test_safetensors_are_preferred_to_pickles(check, hf_folder):
    (hf_folder / "pytorch_model.bin").write_bytes(b"not even a pickle")
    assert check(hf_folder).source_kind == "Hugging Face safetensors"


def test_masks_are_left_out(check, hf_folder, weights, store_safetensors):
    masks = {f"h.{i}.attn.bias": np.ones((1, 1, 16, 16), np.float32) for i in range(2)}
    masks |= {f"h.{i}.attn.masked_bias": np.array(-1e4, np.float32) for i in range(2)}
    store_safetensors(hf_folder / "model.safetensors", weights | masks)
    check(hf_folder)


def test_tied_head_is_stored_once(check, hf_folder, weights, store_safetensors):
    stored = weights | {"lm_head.weight": weights["wte.weight"].copy()}
    store_safetensors(hf_folder / "model.safetensors", stored)
    check(hf_folder)


def test_head_of_its_own_is_kept(check, hf_folder, weights, store_safetensors):
    head = weights["wte.weight"].copy()
    head[-1, -1] += 2**-9
    store_safetensors(hf_folder / "model.safetensors", weights | {"lm_head.weight": head})
    assert check(hf_folder, **{"output.weight": head}).n_params == 35456 + head.size


def test_untied_configuration_needs_a_head(hf_folder, change_json):
    change_json(hf_folder / "config.json", tie_word_embeddings=False)
    with pytest.raises(FormatError, match=r"lm_head\.weight is missing"):
        inspect_checkpoint(hf_folder)


def test_heads_for_other_tasks_are_left_out_and_named(check, hf_folder, weights, store_safetensors):
    stored = {f"transformer.{name}": value for name, value in weights.items()}
    stored["qa_outputs.weight"] = np.zeros((2, 32), np.float32)
    store_safetensors(hf_folder / "model.safetensors", stored)
    assert "qa_outputs.weight" in check(hf_folder).warnings[0]


@pytest.mark.parametrize("name", ["h.0.attn.q_attn.weight", "h.2.ln_1.weight", "lm_head.bias"])
def test_other_extra_tensors_are_refused_by_name(hf_folder, weights, store_safetensors, name):
    extra = {name: np.zeros(32, np.float32)}
    store_safetensors(hf_folder / "model.safetensors", weights | extra)
    with pytest.raises(UnsupportedError, match=name):
        inspect_checkpoint(hf_folder)


@pytest.mark.parametrize("kind", ["f16", "bf16", "q8_0", "q4_0"])
@pytest.mark.parametrize("source", ["hugging_face", "openai"])
def test_matrices_take_the_type_and_the_rest_stays_f32(
    tmp_path, data, read_gguf, expected_tensors, kind, source
):
    report = convert(data / source, tmp_path / "out.gguf", kind.upper(), rounding="reference")
    out = read_gguf(report.out)
    ggml_type = gguf.GGMLQuantizationType[kind.upper()]
    for name, value in expected_tensors.items():
        is_matrix = value.ndim == 2 and name != "position_embd.weight"
        assert out.types[name] == (kind.upper() if is_matrix else "F32"), name
        if is_matrix:
            expected = gguf.quants.quantize(np.ascontiguousarray(value), ggml_type)
            np.testing.assert_array_equal(
                out.blocks[name].view(np.uint8), expected.view(np.uint8), err_msg=name
            )
        else:
            np.testing.assert_array_equal(out.blocks[name], value, err_msg=name)
    assert report.type_counts == {kind.upper(): 9, "F32": 19}


def random_model(n_embd: int, n_head: int, n_inner: int, n_vocab: int = 296) -> dict:
    generator = np.random.default_rng(5)
    shapes = {"wte.weight": (n_vocab, n_embd), "wpe.weight": (16, n_embd)}
    for name, n_out, n_in in (
        ("attn.c_attn", 3 * n_embd, n_embd), ("attn.c_proj", n_embd, n_embd),
        ("mlp.c_fc", n_inner, n_embd), ("mlp.c_proj", n_embd, n_inner),
    ):  # fmt: skip
        shapes |= {f"h.0.{name}.weight": (n_in, n_out), f"h.0.{name}.bias": (n_out,)}
    for name in ("h.0.ln_1", "h.0.ln_2", "ln_f"):
        shapes |= {f"{name}.weight": (n_embd,), f"{name}.bias": (n_embd,)}
    return {k: generator.standard_normal(s).astype(np.float32) for k, s in shapes.items()}


@pytest.fixture
def random_folder(hf_folder, change_json, store_safetensors):
    def make(n_embd: int, n_head: int, n_inner: int, **config):
        model = random_model(n_embd, n_head, n_inner)
        store_safetensors(hf_folder / "model.safetensors", model)
        change_json(
            hf_folder / "config.json",
            n_embd=n_embd, n_head=n_head, n_inner=n_inner, n_layer=1, **config,
        )  # fmt: skip
        return hf_folder, model

    return make


def test_inner_width_of_its_own_and_odd_head_count(tmp_path, random_folder, read_gguf):
    folder, model = random_folder(n_embd=96, n_head=3, n_inner=160)
    convert(folder, tmp_path / "out.gguf", "f32")
    out = read_gguf(tmp_path / "out.gguf")
    assert out.metadata["gpt2.feed_forward_length"] == 160
    assert out.metadata["gpt2.attention.head_count"] == 3
    np.testing.assert_array_equal(
        out.blocks["blk.0.ffn_down.weight"], model["h.0.mlp.c_proj.weight"].T
    )


def test_rows_that_do_not_divide_into_blocks_become_f16(tmp_path, random_folder, read_gguf):
    folder, model = random_folder(n_embd=96, n_head=2, n_inner=100)
    report = convert(folder, tmp_path / "out.gguf", "q8_0")
    out = read_gguf(report.out)
    assert out.types["blk.0.ffn_down.weight"] == "F16"
    assert out.types["blk.0.ffn_up.weight"] == "Q8_0"
    np.testing.assert_array_equal(
        out.blocks["blk.0.ffn_down.weight"], model["h.0.mlp.c_proj.weight"].T.astype(np.float16)
    )
    assert any("blk.0.ffn_down.weight is stored as f16" in line for line in report.warnings)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
def test_many_slabs_and_threads_give_the_same_file(tmp_path, random_folder, monkeypatch, n_threads):
    folder, _ = random_folder(n_embd=320, n_head=5, n_inner=416)
    convert(folder, tmp_path / "whole.gguf", "q8_0", n_threads=1)
    monkeypatch.setattr("pygpt2edge.convert.quantizing._SLAB_BYTES", 50_000)
    convert(folder, tmp_path / "slabs.gguf", "q8_0", n_threads=n_threads)
    assert (tmp_path / "slabs.gguf").read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_progress_counts_up_to_the_whole(tmp_path, data):
    calls = []
    convert(
        data / "hugging_face", tmp_path / "out.gguf", "q8_0", progress=lambda *c: calls.append(c)
    )
    done = [call[0] for call in calls]
    assert done == sorted(done)
    assert calls[-1][0] == calls[-1][1]
    assert {"token_embd.weight", "blk.1.ffn_down.bias"} <= {call[2] for call in calls}


def test_inspect_describes_without_converting(data, torch_folder):
    info = inspect_checkpoint(torch_folder("zip.bin"))
    assert (info.kind, info.architecture, info.n_params) == ("Hugging Face PyTorch", "gpt2", 35456)
    assert (info.config.n_layer, info.config.n_head, info.config.n_embd) == (2, 4, 32)
    entries = {entry.name: entry for entry in info.tensors}
    assert entries["transformer.h.0.attn.c_attn.weight"].shape == (32, 96)
    assert entries["transformer.h.0.attn.c_attn.weight"].dtype == "f16"
    assert entries["transformer.h.0.attn.bias"].n_bytes == 16 * 16
    assert inspect_checkpoint(data / "openai").config.n_ctx == 16
