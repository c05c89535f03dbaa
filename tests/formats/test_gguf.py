"""GGUF files: what is written is read, and what is damaged is refused in words."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import MODELS, draw_weights, write_gguf

from pygpt2edge import FormatError, UnsupportedError, _core

MODEL = MODELS["narrow-heads"]


def write_small(path: Path) -> Path:
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_uint32("a.u32", 7)
    writer.add_int32("a.i32", -7)
    writer.add_float32("a.f32", 0.5)
    writer.add_bool("a.bool", True)
    writer.add_string("a.string", "Grüße")
    writer.add_array("a.strings", ["one", "zwei", ""])
    writer.add_array("a.integers", [1, -2, 3])
    writer.add_tensor("matrix", np.arange(12, dtype=np.float32).reshape(3, 4))
    writer.add_tensor("vector", np.array([1.5, -2.5], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_small(tmp_path_factory.mktemp("gguf") / "small.gguf").read_bytes()


def refused(path: Path, data: bytes) -> str:
    """Opens the bytes as a file and returns the error, one line that names the file."""
    path.write_bytes(data)
    with pytest.raises((FormatError, UnsupportedError)) as caught:
        _core.GgufFile(str(path))
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def test_metadata_and_tensors(tmp_path: Path) -> None:
    file = _core.GgufFile(str(write_small(tmp_path / "small.gguf")))
    assert file.version == 3
    assert file.metadata["general.architecture"] == "gpt2"
    values = [file.metadata[f"a.{kind}"] for kind in ("u32", "i32", "f32", "bool", "string")]
    assert values == [7, -7, 0.5, True, "Grüße"]
    assert file.strings("a.strings") == [b"one", b"zwei", b""]
    assert file.integers("a.integers") == [1, -2, 3]
    assert [(t.name, t.type, t.shape) for t in file.tensors] == [
        ("matrix", "F32", (3, 4)),
        ("vector", "F32", (2,)),
    ]
    assert file.read_rows("matrix", 1, 2).tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert file.read_rows("vector", 0, 1).tolist() == [[1.5, -2.5]]


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    file = _core.GgufFile(str(write_small(tmp_path / "small.gguf")))
    with pytest.raises(KeyError, match="no tensor nothing"):
        file.read_rows("nothing", 0, 1)
    with pytest.raises(IndexError, match="matrix has 3 rows, asked for 2 to 4"):
        file.read_rows("matrix", 2, 2)
    with pytest.raises(FormatError, match=r"a\.u32 is not an array"):
        file.strings("a.u32")
    with pytest.raises(FormatError, match="no metadata key a.none"):
        file.integers("a.none")


def test_every_truncation_is_refused(small: bytes, tmp_path: Path) -> None:
    padding = 24  # after the last tensor's two numbers: nobody misses it
    for n in range(len(small) - padding):
        text = refused(tmp_path / "cut.gguf", small[:n])
        assert "truncated" in text or "empty" in text or "can hold" in text, (n, text)


def test_every_flipped_bit_is_refused_or_read(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "flipped.gguf"
    outcomes = {True: 0, False: 0}
    for i in range(len(small) - 56):  # the tensors' own numbers may be anything
        for bit in range(8):
            data = bytearray(small)
            data[i] ^= 1 << bit
            path.write_bytes(data)
            try:
                file = _core.GgufFile(str(path))
                for tensor in file.tensors:
                    file.read_rows(tensor.name, 0, 1)
                outcomes[True] += 1
            except (FormatError, UnsupportedError):
                outcomes[False] += 1
    assert outcomes[False] > 1000
    assert outcomes[True] > 1000


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_after_the_magic(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "any.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<I", 3) + data)
    try:
        _core.GgufFile(str(path))
    except (FormatError, UnsupportedError):
        return


def header(n_tensors: int, n_keys: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys)


def text_field(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def tensor_info(name: bytes, shape: tuple[int, ...], type_id: int = 0, offset: int = 0) -> bytes:
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return text_field(name) + dims + struct.pack("<IQ", type_id, offset)


U32 = struct.pack("<I", 4)
HOSTILE = {
    "not a GGUF": (b"PK\x03\x04" + bytes(60), "not a GGUF file"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "version 1": (header(0, 0, version=1), "version 1; versions 2 and 3"),
    "many keys": (header(0, 2**61), "metadata count is 2305843009213693952"),
    "many tensors": (header(2**63, 0), "tensor count is"),
    "long string": (header(0, 1) + struct.pack("<Q", 2**64 - 1) + bytes(40), "truncated"),
    "long array": (
        header(0, 1) + text_field(b"k") + struct.pack("<IIQ", 9, 8, 2**40) + bytes(40),
        "length of k is 1099511627776",
    ),
    "array of arrays": (
        header(0, 1) + text_field(b"k") + struct.pack("<IIQ", 9, 9, 1) + bytes(40),
        "array of type 9",
    ),
    "unknown value type": (
        header(0, 1) + text_field(b"k") + struct.pack("<I", 99) + bytes(40),
        "k has the unknown value type 99",
    ),
    "key twice": (header(0, 2) + 2 * (text_field(b"k") + U32 + bytes(4)), "k is there twice"),
    "zero alignment": (  # a division by it would end the process
        header(0, 1) + text_field(b"general.alignment") + U32 + bytes(4) + bytes(40),
        "general.alignment is not a power of two",
    ),
    "odd alignment": (
        header(0, 1) + text_field(b"general.alignment") + U32 + struct.pack("<I", 24) + bytes(40),
        "general.alignment is not a power of two",
    ),
    "zero dimension": (header(1, 0) + tensor_info(b"t", (4, 0)) + bytes(64), "dimension of 0"),
    "five dimensions": (
        header(1, 0) + tensor_info(b"t", (1, 1, 1, 1, 1)) + bytes(64),
        "5 dimensions, expected 1 to 4",
    ),
    "overflowing shape": (
        header(1, 0) + tensor_info(b"t", (2**32, 2**32, 2)) + bytes(64),
        "larger than the file",
    ),
    "offset past the end": (
        header(1, 0) + tensor_info(b"t", (4,), offset=2**64 - 32) + bytes(64),
        "reaches past the end",
    ),
    "offset off its alignment": (
        header(1, 0) + tensor_info(b"t", (4,), offset=4) + bytes(64),
        "not a multiple of the alignment",
    ),
    "unknown tensor type": (
        header(1, 0) + tensor_info(b"t", (4,), type_id=777) + bytes(64),
        "t has ggml type 777",
    ),
    "broken block": (
        header(1, 0) + tensor_info(b"t", (40,), type_id=8) + bytes(64),
        "rows of 40 numbers, but Q8_0 stores them 32",
    ),
    "overlapping tensors": (
        header(2, 0) + tensor_info(b"t", (16,)) + tensor_info(b"u", (16,), offset=32) + bytes(200),
        "t and u overlap",
    ),
    "tensor twice": (
        header(2, 0) + tensor_info(b"t", (8,)) + tensor_info(b"t", (8,), offset=32) + bytes(200),
        "tensor t is there twice",
    ),
    "nameless tensor": (header(1, 0) + tensor_info(b"", (8,)) + bytes(200), "has 0 bytes"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_file(case: str, tmp_path: Path) -> None:
    data, expected = HOSTILE[case]
    assert expected in refused(tmp_path / "hostile.gguf", data)


def test_empty_missing_and_folder(tmp_path: Path) -> None:
    assert "empty" in refused(tmp_path / "empty.gguf", b"")
    with pytest.raises(FileNotFoundError, match="none.gguf"):
        _core.GgufFile(str(tmp_path / "none.gguf"))
    with pytest.raises(IsADirectoryError):
        _core.GgufFile(str(tmp_path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_a_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)  # so that opening does not wait
    with pytest.raises(OSError, match="pipe"):
        _core.GgufFile(str(tmp_path / "pipe"))
    os.close(writer)


# ---- whole models with something wrong in them ----


def patched(path: Path, change: dict[str, object], drop: tuple[str, ...] = ()) -> Path:
    """A tiny model's file with keys changed and keys or tensors left out."""
    source = gguf.GGUFReader(write_gguf(path.with_suffix(".tmp"), MODEL, draw_weights(MODEL)))
    writer = gguf.GGUFWriter(path, str(change.pop("general.architecture", "gpt2")))
    for name, field in source.fields.items():
        if name.startswith(("GGUF.", "general.architecture")) or name in drop:
            continue
        value = change.pop(name, field.contents())
        writer.add_key_value(name, value, field.types[0], *field.types[1:])
    for tensor in source.tensors:
        if tensor.name not in drop:
            writer.add_tensor(tensor.name, change.pop(tensor.name, tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert not change, change
    return path


WRONG_MODELS = {
    "another architecture": ({"general.architecture": "llama"}, (), '"llama"'),
    "no layers": ({"gpt2.block_count": 0}, (), "block_count is 0"),
    "a layer too many": ({"gpt2.block_count": 3}, (), r"no tensor blk\.2"),
    "absurd width": ({"gpt2.embedding_length": 2**31}, (), "embedding_length is 2147483648"),
    "heads that do not divide": ({"gpt2.attention.head_count": 7}, (), "does not divide into"),
    "epsilon": ({"gpt2.attention.layer_norm_epsilon": float("nan")}, (), "layer_norm_epsilon"),
    "more positions than rows": ({"gpt2.context_length": 51}, (), r"position_embd.*\[50, 80\].*51"),
    "no key": ({}, ("gpt2.embedding_length",), "no metadata key gpt2.embedding_length"),
    "no tensor": ({}, ("blk.1.ffn_up.bias",), r"no tensor blk\.1\.ffn_up\.bias"),
    "wrong shape": (
        {"blk.0.attn_qkv.weight": np.zeros((80, 240), np.float32)},
        (),
        r"attn_qkv\.weight has shape \[80, 240\].*\[240, 80\]",
    ),
}


@pytest.mark.parametrize("case", WRONG_MODELS)
def test_inconsistent_model(case: str, tmp_path: Path) -> None:
    change, drop, expected = WRONG_MODELS[case]
    path = patched(tmp_path / "wrong.gguf", dict(change), drop)
    with pytest.raises((FormatError, UnsupportedError), match=expected) as caught:
        _core.Model(str(path))
    assert str(path) in str(caught.value)
