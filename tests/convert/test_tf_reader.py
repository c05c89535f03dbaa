"""TensorFlow checkpoints that are damaged, or of kinds that OpenAI's are not."""

from __future__ import annotations

import pytest

from pygpt2edge import _core
from pygpt2edge.convert import convert, inspect_checkpoint
from pygpt2edge.convert.sstable import read_sstable, unmasked_crc
from pygpt2edge.convert.tf_reader import read_tf_checkpoint
from pygpt2edge.errors import FormatError, UnsupportedError


@pytest.fixture
def index(openai_folder):
    return openai_folder / "model.ckpt.index"


def masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def first_block(content: bytes) -> int:
    """The end of the only data block, which starts at 0: its size is in the index block."""
    size = 0
    while True:
        stored = int.from_bytes(content[size + 1 : size + 5], "little")
        if masked(_core.crc32c(content[: size + 1])) == stored:
            return size
        size += 1


def store_block(index, block: bytes, *, compression: int = 0) -> None:
    """Puts another data block of the same size in place, its checksum made right."""
    content = index.read_bytes()
    size = first_block(content)
    assert len(block) == size
    body = block + bytes([compression])
    crc = masked(_core.crc32c(body)).to_bytes(4, "little")
    index.write_bytes(body + crc + content[size + 5 :])


def test_check_value_of_the_checksum():
    """The value that RFC 3720 and every catalogue of checksums give, whole and in parts."""
    assert _core.crc32c(b"123456789") == 0xE3069283
    assert _core.crc32c(b"6789", _core.crc32c(b"12345")) == 0xE3069283
    assert _core.crc32c(bytes(32)) == 0x8A9136AA
    assert _core.crc32c(b"") == 0
    assert unmasked_crc(masked(0xE3069283)) == 0xE3069283


def test_crc32c_of_any_length() -> None:
    """It is computed in several lanes where there is enough for them."""
    data = bytes(i * i % 251 for i in range(13_000))
    crc, expected = 0xFFFFFFFF, {}
    for size, byte in enumerate(data, 1):
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        expected[size] = crc ^ 0xFFFFFFFF
    for size in (1, 9, 1024, 4095, 4096, 4097, 4104, 8191, 8192, 12_288, 13_000):
        assert _core.crc32c(data[:size]) == expected[size]


@pytest.mark.parametrize("start", range(9))
def test_checksum_of_any_alignment(start):
    data = bytes(range(256)) * 3
    whole = _core.crc32c(data[start:])
    for cut in (0, 1, 7, 8, 100):
        part = _core.crc32c(memoryview(data)[start : start + cut])
        assert _core.crc32c(memoryview(data)[start + cut :], part) == whole


def test_checksum_needs_contiguous_memory():
    with pytest.raises(ValueError, match="contiguous"):
        _core.crc32c(memoryview(bytes(10))[::2])


def test_index_lists_every_variable_in_order(index):
    keys = [key for key, _ in read_sstable(index)]
    assert keys == sorted(keys)
    assert keys[:3] == ["", "global_step", "model/h0/attn/c_attn/b"]
    assert len(keys) == 2 + 28


def test_damaged_numbers_are_found(openai_folder, tmp_path):
    path = openai_folder / "model.ckpt.data-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[70_001] ^= 4
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"data-00000-of-00001: tensor model/\S+: checksum"):
        convert(openai_folder, tmp_path / "out.gguf")
    assert not list(tmp_path.glob("*out.gguf*"))


def test_every_byte_of_the_index_counts(index):
    content = index.read_bytes()
    expected = read_tf_checkpoint(index.with_suffix(""))
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << (place % 8)
        index.write_bytes(changed)
        try:
            tensors = read_tf_checkpoint(index.with_suffix(""))
        except (FormatError, UnsupportedError, FileNotFoundError) as error:
            assert "model.ckpt" in str(error)
        else:  # only the footer's padding may go unseen
            assert place >= len(content) - 48
            assert tensors == expected


def test_truncated_index(index):
    content = index.read_bytes()
    for size in range(0, len(content), 7):
        index.write_bytes(content[:size])
        with pytest.raises(FormatError, match=r"model\.ckpt\.index"):
            read_tf_checkpoint(index.with_suffix(""))


@pytest.mark.parametrize(("compression", "name"), [(1, "snappy"), (7, "type 7")])
def test_compressed_index_is_refused_by_name(index, compression, name):
    content = index.read_bytes()
    store_block(index, content[: first_block(content)], compression=compression)
    with pytest.raises(UnsupportedError, match=name):
        inspect_checkpoint(index.parent)


def test_lying_entry_with_a_right_checksum(index):
    content = index.read_bytes()
    block = content[: first_block(content)]
    # model/wte: shape {dim {size: 296} dim {size: 32}} with 296 as the varint a8 02.
    lie = block.replace(b"\x08\xa8\x02", b"\x08\xff\x7f", 1)
    store_block(index, lie)
    with pytest.raises(FormatError, match=r"has 37888 bytes, expected \d+ for f32 \[16383, 32\]"):
        inspect_checkpoint(index.parent)


@pytest.mark.slow
def test_large_numbers_anywhere_in_a_block(index):
    """With its checksum put right, so that the numbers themselves must be looked at."""
    content = index.read_bytes()
    n_bytes = first_block(content)
    n_refused = 0
    for start in range(n_bytes - 8):
        block = bytearray(content[:n_bytes])
        block[start : start + 3] = b"\xff\xff\x7f"
        index.write_bytes(content)
        store_block(index, bytes(block))
        try:
            inspect_checkpoint(index.parent)
        except (FormatError, UnsupportedError, FileNotFoundError) as error:
            n_refused += 1
            assert "openai" in str(error)
    # What passes changed the checksum of a tensor's data, which converting looks at.
    assert n_refused > n_bytes // 2


def test_truncated_data(openai_folder):
    path = openai_folder / "model.ckpt.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match=r"data-00000-of-00001: 141831 bytes, but variable \S+ "):
        inspect_checkpoint(openai_folder)


def test_missing_data_file(openai_folder):
    (openai_folder / "model.ckpt.data-00000-of-00001").unlink()
    with pytest.raises(FileNotFoundError, match=r"data-00000-of-00001: missing"):
        inspect_checkpoint(openai_folder)


def test_index_of_something_else(index):
    index.write_bytes(b"x" * 100)
    with pytest.raises(FormatError, match="no magic number"):
        inspect_checkpoint(index.parent)


def test_missing_hparams(openai_folder):
    (openai_folder / "hparams.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"hparams\.json: missing"):
        inspect_checkpoint(openai_folder)
