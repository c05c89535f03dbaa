"""Damaged, incomplete and wrong sources: one line that names the file, and nothing written."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest

from pygpt2edge.convert import convert, inspect_checkpoint
from pygpt2edge.errors import FormatError, UnsupportedError


@pytest.fixture
def refused(tmp_path):
    """refused(source, error, words): converting raises that in one line, and leaves no file."""

    def check(source, error, words, kind="q8_0"):
        before = sorted(tmp_path.iterdir())
        with pytest.raises(error, match=words) as caught:
            convert(source, tmp_path / "out.gguf", kind)
        assert "\n" not in str(caught.value)
        assert sorted(tmp_path.iterdir()) == before
        return caught.value

    return check


def test_missing_source_says_what_one_looks_like(refused, tmp_path):
    error = refused(tmp_path / "nowhere", FileNotFoundError, "nowhere")
    for word in ("config.json", "model.ckpt.index", "GGUF", "openai-community/gpt2"):
        assert word in str(error)


def test_empty_folder(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", FileNotFoundError, r"holds no checkpoint.*config\.json")


def test_weights_away_from_their_folder(refused, data, tmp_path):
    weights = shutil.copy(data / "hugging_face" / "model.safetensors", tmp_path / "a.safetensors")
    refused(weights, FileNotFoundError, "config.json: missing; it is needed beside a.safetensors")


def test_folder_of_ggufs(refused, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "a.gguf").write_bytes(b"GGUF")
    refused(folder, FormatError, r"name the file: .*a\.gguf")


OTHER_NAMES = [
    ("tf_model.h5", "Keras"),
    ("flax_model.msgpack", "Flax"),
    ("adapter_model.bin", "adapter"),
    ("decoder_model.onnx", "an ONNX model"),
    ("64-fp16.tflite", "TensorFlow Lite"),
    ("gpt2.mlmodel", "Core ML"),
    ("openvino_model.bin", "OpenVINO"),
    ("rust_model.ot", "rust-bert"),
]


@pytest.mark.parametrize(("name", "words"), OTHER_NAMES)
def test_other_kinds_of_weights_are_named(refused, hf_folder, name, words):
    (hf_folder / "model.safetensors").rename(hf_folder / name)
    refused(hf_folder, UnsupportedError, rf"{name}: .*{words}")
    refused(hf_folder / name, UnsupportedError, rf"{name}: .*{words}")


@pytest.mark.parametrize(
    ("name", "words"),
    [("onnx/decoder_model.onnx", "ONNX"), ("coreml/float32.mlpackage/Manifest.json", "Core ML")],
)
def test_weights_in_a_folder_of_their_own_are_named(refused, hf_folder, name, words):
    path = hf_folder / name
    path.parent.mkdir(parents=True)
    (hf_folder / "model.safetensors").rename(path)
    refused(hf_folder, UnsupportedError, words)
    refused(path.parent, UnsupportedError, words)


def test_missing_config(refused, hf_folder):
    (hf_folder / "config.json").unlink()
    refused(hf_folder, FileNotFoundError, r"config\.json: missing")


def test_missing_tensor(refused, hf_folder, weights, store_safetensors):
    lacking = {name: value for name, value in weights.items() if name != "h.1.mlp.c_fc.bias"}
    store_safetensors(hf_folder / "model.safetensors", lacking)
    refused(hf_folder, FormatError, r"tensor h\.1\.mlp\.c_fc\.bias is missing, expected \[128\]")


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("h.0.attn.c_attn.weight", (32, 95), r"is \[32, 95\], expected \[32, 96\]"),
        ("h.0.ln_1.weight", (33,), r"is \[33\], expected \[32\]"),
        ("wte.weight", (295, 32), r"is \[295, 32\], expected \[296, 32\]"),
        ("wpe.weight", (16, 32, 1), r"is \[16, 32, 1\], expected \[16, 32\]"),
        ("ln_f.bias", (), r"is \[\], expected \[32\]"),
    ],
)
def test_wrong_shape(refused, hf_folder, weights, store_safetensors, name, shape, words):
    changed = weights | {name: np.zeros(shape, np.float32)}
    store_safetensors(hf_folder / "model.safetensors", changed)
    refused(hf_folder, FormatError, rf"model\.safetensors: tensor {name} {words}")


def test_integers_are_not_weights(refused, hf_folder, weights, store_safetensors):
    from safetensors.numpy import save_file

    save_file(weights | {"wte.weight": np.zeros((296, 32), np.int8)},
              hf_folder / "model.safetensors")  # fmt: skip
    refused(hf_folder, UnsupportedError, "wte.weight has dtype i8")


def test_prefixed_and_bare_name_together(refused, hf_folder, weights, store_safetensors):
    both = weights | {"transformer.wte.weight": weights["wte.weight"]}
    store_safetensors(hf_folder / "model.safetensors", both)
    refused(hf_folder, FormatError, "both wte.weight and transformer.wte.weight")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["h.1.mlp.c_proj.weight", "ln_f.bias"])
def test_numbers_that_are_none(refused, hf_folder, weights, store_safetensors, name, value):
    broken = weights[name].copy()
    broken.flat[-1] = value
    store_safetensors(hf_folder / "model.safetensors", weights | {name: broken})
    refused(hf_folder, FormatError, f"tensor {name} holds NaN or infinity")


def test_numbers_beyond_float16(refused, hf_folder, weights, store_safetensors, tmp_path):
    large = weights["wte.weight"].copy()
    large[3, 3] = -70000
    store_safetensors(hf_folder / "model.safetensors", weights | {"wte.weight": large})
    refused(hf_folder, FormatError, r"wte\.weight reaches 70000, beyond the range of f16", "f16")
    convert(hf_folder, tmp_path / "out.gguf", "bf16")


# --- safetensors that lie


HEADER_LIES = {
    "beyond the end": lambda e: e.update(data_offsets=[e["data_offsets"][0], 10**12]),
    "backwards": lambda e: e.update(data_offsets=e["data_offsets"][::-1]),
    "negative": lambda e: e.update(data_offsets=[-4, e["data_offsets"][1]]),
    "overflow": lambda e: e.update(data_offsets=[2**64 - 8, 2**64]),
    "shape too large": lambda e: e.update(shape=[2**62, 2**62]),
    "shape does not match": lambda e: e.update(shape=[16, 31]),
    "overlap": lambda e: e.update(data_offsets=[0, e["data_offsets"][1] - e["data_offsets"][0]]),
    "unknown dtype": lambda e: e.update(dtype="F12"),
}


@pytest.mark.parametrize("lie", HEADER_LIES)
def test_safetensors_with_a_lying_header(refused, hf_folder, write_safetensors, lie):
    path = hf_folder / "model.safetensors"
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    HEADER_LIES[lie](header["transformer.wpe.weight"])
    write_safetensors(path, header, content[8 + length :])
    refused(hf_folder, FormatError, r"model\.safetensors: not a sound safetensors file")


@pytest.mark.parametrize("size", [0, 7, 8, 100, 5000, 73_000, -1])
def test_truncated_safetensors(refused, hf_folder, size):
    path = hf_folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    refused(hf_folder, FormatError, r"model\.safetensors")


def test_safetensors_with_a_huge_header_length(refused, hf_folder):
    path = hf_folder / "model.safetensors"
    path.write_bytes((2**63).to_bytes(8, "little") + path.read_bytes()[8:])
    refused(hf_folder, FormatError, r"model\.safetensors")


def test_file_that_shrinks_while_it_is_read(refused, hf_folder, monkeypatch):
    path = hf_folder / "model.safetensors"
    from pygpt2edge.convert import gguf_writer

    write_head = gguf_writer.write_head

    def shrink(*args):
        path.write_bytes(path.read_bytes()[:-1000])
        write_head(*args)

    monkeypatch.setattr(gguf_writer, "write_head", shrink)
    refused(hf_folder, FormatError, r"file ends inside tensor .*truncated")


@pytest.mark.parametrize("seed", range(20))
def test_bit_flips_raise_or_convert_but_never_crash(tmp_path, data, hf_folder, seed):
    """A flip in the numbers cannot be seen; one anywhere else must be a clear error."""
    generator = np.random.default_rng(seed)
    (hf_folder / "model.safetensors").unlink()
    for source in ("hugging_face/model.safetensors", "torch/zip.bin", "torch/legacy.bin"):
        content = bytearray((data / source).read_bytes())
        for place in generator.integers(0, len(content), 3):
            content[place] ^= 1 << generator.integers(8)
        # The description of a zip is at its end, of the others at their start.
        for place in generator.integers(0, 4000, 3):
            content[-place if "zip" in source else place] ^= 1 << generator.integers(8)
        folder = tmp_path / source.replace("/", "-")
        shutil.copytree(hf_folder, folder)
        name = "model.safetensors" if "safetensors" in source else "pytorch_model.bin"
        (folder / name).write_bytes(content)
        try:
            convert(folder, tmp_path / "out.gguf", "q8_0")
        except (FormatError, UnsupportedError) as error:
            assert "\n" not in str(error)


def test_a_changed_bit_in_a_weight_of_torch_save(refused, torch_folder):
    """Each member of the archive has a checksum, of numbers too that would make sense."""
    path = torch_folder("zip.bin") / "pytorch_model.bin"
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    content = bytearray(path.read_bytes())
    content[largest.header_offset + largest.file_size // 2] ^= 1
    path.write_bytes(content)
    refused(
        path.parent, FormatError, "pytorch_model.bin: tensor .*: checksum 0x.*download it again"
    )


def test_weight_map_that_lies(refused, hf_folder, weights):
    (hf_folder / "model.safetensors").rename(hf_folder / "part.safetensors")
    index = hf_folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"lm_head.weight": "part.safetensors"}}))
    refused(hf_folder, FormatError, r"part\.safetensors: lacks 'lm_head.weight'")
    index.write_text("{}")
    refused(hf_folder, FormatError, "has no weight_map")
    index.write_text(json.dumps({"weight_map": {"wte.weight": 3}}))
    refused(hf_folder, FormatError, "expected a name")


def test_inspect_refuses_the_same(hf_folder, weights, store_safetensors):
    store_safetensors(hf_folder / "model.safetensors", {"wte.weight": weights["wte.weight"]})
    with pytest.raises(FormatError, match="wpe.weight is missing"):
        inspect_checkpoint(hf_folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file"),
        (b"lmgg" + bytes(99), "before GGUF"),
        (b"\x1c\0\0\0TFL3" + bytes(99), "TensorFlow Lite"),
        (b"\x06\0\0\0\x17\0TransformerDecoderSpec\0" + bytes(99), "CTranslate2"),
        (b"MZqFpD='" + bytes(99), "llamafile.*unzip"),
    ],
)
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model.bin"])
def test_files_of_other_programs_are_named(refused, hf_folder, name, content, words):
    (hf_folder / "model.safetensors").unlink()
    (hf_folder / name).write_bytes(content)
    refused(hf_folder, (FormatError, UnsupportedError), rf"{name}: .*{words}")
    refused(hf_folder / name, (FormatError, UnsupportedError), rf"{name}: .*{words}")


@pytest.mark.parametrize(
    ("ending", "words"), [(".SCB", "bitsandbytes in 8"), (".qweight", "GPTQ or AWQ")]
)
def test_quantized_checkpoints_are_named(
    refused, hf_folder, weights, store_safetensors, ending, words
):
    stored = weights | {f"h.0.attn.c_attn{ending}": np.zeros(96, np.float32)}
    store_safetensors(hf_folder / "model.safetensors", stored)
    refused(hf_folder, UnsupportedError, rf"quantized by {words}.*original")
