"""Damaged and hostile GGUF files: each is refused in one line that says what is wrong, or read."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygpt2edge import FormatError, UnsupportedError, _core


def small_file(path: Path) -> bytes:
    """A key of every kind, arrays included, and two tensors."""
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_uint32("a.u32", 7)
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
    return path.read_bytes()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return small_file(tmp_path_factory.mktemp("gguf") / "small.gguf")


def refused(path: Path, data: bytes) -> str:
    """Opens the bytes as a file and returns the error, one line that names the file."""
    path.write_bytes(data)
    with pytest.raises((FormatError, UnsupportedError)) as caught:
        _core.GgufFile(path)
    text = str(caught.value)
    assert str(path) in text
    assert text.isprintable()
    return text


def accepts(path: Path, data: bytes) -> bool:
    """Whether the bytes are taken for a sound file; everything in it is then read."""
    path.write_bytes(data)
    try:
        file = _core.GgufFile(path)
    except (FormatError, UnsupportedError):
        return False
    assert isinstance(file.metadata, dict)
    for tensor in file.tensors:
        n_rows = int(np.prod(tensor.shape[:-1], dtype=np.int64))
        assert file.read_rows(tensor.name, 0, n_rows).shape == (n_rows, tensor.shape[-1])
    return True


def test_every_truncation_is_refused(small: bytes, tmp_path: Path) -> None:
    padding = 24  # after the last tensor's two numbers: nobody misses it
    for n in range(len(small) - padding):
        text = refused(tmp_path / "cut.gguf", small[:n])
        assert "truncated" in text or "empty" in text, (n, text)
    assert accepts(tmp_path / "whole.gguf", small[:-padding])


def test_a_truncated_file_says_how_much_is_missing(small: bytes, tmp_path: Path) -> None:
    text = refused(tmp_path / "cut.gguf", small[: -24 - 3])
    assert "tensor vector (8 bytes at offset" in text
    assert "ends 3 bytes after the file" in text
    assert "download or convert it again" in text


@pytest.mark.slow
def test_every_flipped_bit_is_refused_or_read(small: bytes, tmp_path: Path) -> None:
    outcomes = {True: 0, False: 0}
    for i in range(len(small) - 56):  # the tensors' own numbers may be anything
        for bit in range(8):
            data = bytearray(small)
            data[i] ^= 1 << bit
            outcomes[accepts(tmp_path / "flipped.gguf", data)] += 1
    assert outcomes[False] > 1000
    assert outcomes[True] > 500


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_after_the_magic(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "any.gguf"
    accepts(path, b"GGUF" + struct.pack("<I", 3) + data)


@settings(max_examples=300, deadline=None)
@given(cut=st.lists(st.integers(0, 2**16), min_size=4, max_size=4))
def test_pieces_of_a_file_put_together(
    small: bytes, cut: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    a, b, c, d = (n % len(small) for n in cut)
    path = tmp_path_factory.mktemp("spliced") / "spliced.gguf"
    accepts(path, small[:a] + small[b:c] + small[d:])


# ---- files built to harm ----


def header(n_tensors: int, n_keys: int, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_keys)


def string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def key(name: bytes, value_type: int, value: bytes) -> bytes:
    return string(name) + struct.pack("<I", value_type) + value


def array(element_type: int, n: int) -> bytes:
    return struct.pack("<IQ", element_type, n)


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def tensor(name: bytes, shape: tuple[int, ...], type_id: int = 0, offset: int = 0) -> bytes:
    dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return string(name) + dims + struct.pack("<IQ", type_id, offset)


U8, U32, BOOL, STRING, ARRAY = 0, 4, 7, 8, 9
REST = bytes(64)
ALIGNMENT = b"general.alignment"
HOSTILE = {
    "not a GGUF": (b"PK\x03\x04" + REST, "not a GGUF file"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
    "version 0": (header(0, 0, version=0), "GGUF version 0, expected 2 or 3"),
    "version 1": (header(0, 0, version=1), "GGUF version 1, expected 2 or 3"),
    "version 4": (header(0, 0, version=4), "GGUF version 4, expected 2 or 3"),
    "more keys than bytes": (header(0, 2**61) + REST, "metadata count is 2305843009213693952"),
    "more tensors than bytes": (header(2**63, 0) + REST, "tensor count is 9223372036854775808"),
    "more keys than any model": (header(0, 5000) + bytes(80000), "expected at most 4096"),
    "more tensors than any model": (header(20000, 0) + bytes(700000), "expected at most 16384"),
    "long string": (
        header(0, 1) + string(b"k") + struct.pack("<IQ", STRING, 2**64 - 1) + REST,
        "k takes 18446744073709551615 bytes",
    ),
    "long name": (header(0, 1) + string(b"k" * 2000) + REST, "2000 bytes, expected 1 to 1024"),
    "no name": (header(0, 1) + string(b"") + REST, "has 0 bytes, expected 1 to 1024"),
    "name of two lines": (header(0, 1) + key(b"a\nb", U8, b"\0"), 'is "a?b", expected printable'),
    "name not ASCII": (header(0, 1) + key(b"a\xff", U8, b"\0"), 'is "a?", expected printable'),
    "long array": (
        header(0, 1) + key(b"k", ARRAY, array(STRING, 2**40)) + REST,
        "length of k is 1099511627776",
    ),
    "array whose size overflows": (
        header(0, 1) + key(b"k", ARRAY, array(12, 2**61 + 1)) + REST,
        "length of k is 2305843009213693953",
    ),
    "long string in an array": (
        header(0, 1) + key(b"k", ARRAY, array(STRING, 2)) + struct.pack("<Q", 2**63) + REST,
        "k takes 9223372036854775808 bytes",
    ),
    "array of arrays": (
        header(0, 1) + key(b"k", ARRAY, array(ARRAY, 1)) + REST,
        "k is an array of value type 9",
    ),
    "array of nothing known": (
        header(0, 1) + key(b"k", ARRAY, array(13, 1)) + REST,
        "k is an array of value type 13",
    ),
    "unknown value type": (header(0, 1) + key(b"k", 99, REST), "k has value type 99"),
    "neither true nor false": (header(0, 1) + key(b"k", BOOL, b"\2"), "truth value 2"),
    "neither true nor false in an array": (
        header(0, 1) + key(b"k", ARRAY, array(BOOL, 2) + b"\1\xff"),
        "truth value 255",
    ),
    "key twice": (header(0, 2) + 2 * key(b"k", U32, u32(1)), "metadata key k is there twice"),
    "zero alignment": (  # a division by it would end the process
        header(0, 1) + key(ALIGNMENT, U32, u32(0)) + REST,
        "general.alignment is not a power of two",
    ),
    "odd alignment": (
        header(0, 1) + key(ALIGNMENT, U32, u32(24)) + REST,
        "general.alignment is not a power of two",
    ),
    "huge alignment": (
        header(0, 1) + key(ALIGNMENT, U32, u32(2**31)) + REST,
        "general.alignment is not a power of two",
    ),
    "alignment in words": (
        header(0, 1) + key(ALIGNMENT, STRING, string(b"32")) + REST,
        "general.alignment is not a power of two",
    ),
    "zero dimension": (header(1, 0) + tensor(b"t", (4, 0)) + REST, "t has a dimension of 0"),
    "no dimensions": (header(1, 0) + tensor(b"t", ()) + REST, "t has 0 dimensions, expected 1 to"),
    "five dimensions": (
        header(1, 0) + tensor(b"t", (1, 1, 1, 1, 1)) + REST,
        "t has 5 dimensions, expected 1 to 4",
    ),
    "more dimensions than bytes": (
        header(1, 0) + string(b"t") + u32(2**32 - 1) + REST,
        "t has 4294967295 dimensions",
    ),
    "shape whose product is 0 in 64 bits": (
        header(1, 0) + tensor(b"t", (2**32, 2**32, 2)) + REST,
        "t (4611686018427387904 bytes",
    ),
    "shape whose size is small in 64 bits": (
        header(1, 0) + tensor(b"t", (2**62 + 1,)) + REST,
        "bytes after the file",
    ),
    "offset that wraps around": (
        header(1, 0) + tensor(b"t", (4,), offset=2**64 - 32) + REST,
        "bytes after the file",
    ),
    "offset past the end": (
        header(1, 0) + tensor(b"t", (4,), offset=64) + REST,
        "t (16 bytes at offset 128) ends 23 bytes after the file",
    ),
    "offset off its alignment": (
        header(1, 0) + tensor(b"t", (4,), offset=4) + REST,
        "t is at offset 4, expected a multiple of the alignment 32",
    ),
    "unknown tensor type": (
        header(1, 0) + tensor(b"t", (4,), type_id=777) + REST,
        "tensor t has ggml type 777",
    ),
    "tensor type that ggml has dropped": (
        header(1, 0) + tensor(b"t", (32,), type_id=4) + REST,
        "tensor t has ggml type 4",
    ),
    "broken block": (
        header(1, 0) + tensor(b"t", (40,), type_id=8) + REST,
        "t has rows of 40 numbers, expected a multiple of 32 for type Q8_0",
    ),
    "overlapping tensors": (
        header(2, 0) + tensor(b"t", (16,)) + tensor(b"u", (16,), offset=32) + bytes(200),
        "tensors t and u overlap",
    ),
    "tensor twice": (
        header(2, 0) + tensor(b"t", (8,)) + tensor(b"t", (8,), offset=32) + bytes(200),
        "tensor t is there twice",
    ),
    "nameless tensor": (header(1, 0) + tensor(b"", (8,)) + bytes(200), "tensor's name at offset"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_file(case: str, tmp_path: Path) -> None:
    data, expected = HOSTILE[case]
    assert expected in refused(tmp_path / "hostile.gguf", data)


def test_kinds_of_refusal(tmp_path: Path) -> None:
    unsupported = ("big-endian", "version 1", "unknown tensor type")
    for case in (*unsupported, "not a GGUF", "key twice"):
        (tmp_path / "hostile.gguf").write_bytes(HOSTILE[case][0])
        with pytest.raises(UnsupportedError if case in unsupported else FormatError):
            _core.GgufFile(tmp_path / "hostile.gguf")


def test_empty_missing_and_folder(tmp_path: Path) -> None:
    assert "the file is empty" in refused(tmp_path / "empty.gguf", b"")
    with pytest.raises(FileNotFoundError, match=r"cannot read .*none\.gguf: No such file"):
        _core.GgufFile(tmp_path / "none.gguf")
    with pytest.raises(NotADirectoryError):
        _core.GgufFile(tmp_path / "empty.gguf" / "inside.gguf")
    with pytest.raises(IsADirectoryError):
        _core.GgufFile(tmp_path)
    with pytest.raises((TypeError, ValueError)):
        _core.GgufFile(f"{tmp_path}/empty.gguf\0.gguf")
    with pytest.raises(ValueError, match="null character"):
        _core.Model(f"{tmp_path}/empty.gguf\0.gguf")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # nobody writes to it: waiting would be for ever
    with pytest.raises(OSError, match="expected a regular file"):
        _core.GgufFile(tmp_path / "pipe")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read it")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.gguf"
    path.touch(mode=0)
    with pytest.raises(PermissionError, match=r"secret\.gguf"):
        _core.GgufFile(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a file that is mapped as it is")
def test_a_file_that_is_shortened_while_it_is_open(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "short.gguf"
    path.write_bytes(small)
    file = _core.GgufFile(path)
    os.truncate(path, 0)
    for read in (
        lambda: file.read_rows("matrix", 0, 3),
        lambda: file.raw_rows("vector", 0, 1),
        lambda: file.strings("a.strings"),
        lambda: file.integers("a.integers"),
        lambda: file.metadata,
    ):
        with pytest.raises(OSError, match=r"cannot read .*short\.gguf: it was shortened"):
            read()
    path.write_bytes(small)
    assert _core.GgufFile(path).strings("a.strings") == ["one", "zwei", ""]
