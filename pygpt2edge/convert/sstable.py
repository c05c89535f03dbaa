"""Reads a sorted string table, the container of TensorFlow's `.index` files.

The file ends in a footer: the place of an index block, then a magic number. A block is a run of
entries, each sharing a prefix of its key with the one before, then the restart points (not needed
to read everything), then one byte for the compression and the masked crc32c of all that. The index
block's values are the places of the data blocks.

Format: LevelDB's doc/table_format.md, as used by tensorflow/core/lib/io/table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pygpt2edge.errors import FormatError, UnsupportedError

_FOOTER_SIZE = 48
_MAGIC = 0xDB4775248B80FB57
_TRAILER_SIZE = 5  # one byte for the compression, four for the checksum
_COMPRESSIONS = {1: "snappy", 2: "zlib", 4: "zstd"}
# GPT-2's longest variable name has 26 bytes; the largest index of the four models has 30 kB.
_MAX_KEY_SIZE = 1024
_MAX_FILE_SIZE = 16 << 20
# A key is stored as what differs from the one before. TensorFlow's take up less than the index.
_MOST_KEYS = 8  # times the file's size


def read_sstable(path: Path) -> Iterator[tuple[str, bytes]]:
    """All (key, value) pairs in order. Raises FormatError, naming the place of the damage."""
    size = path.stat().st_size
    if not _FOOTER_SIZE <= size <= _MAX_FILE_SIZE:
        raise FormatError(
            f"{path}: {size} bytes, too {'small' if size < 48 else 'large'} to be "
            "the index of a TensorFlow checkpoint"
        )
    data = path.read_bytes()
    if int.from_bytes(data[-8:], "little") != _MAGIC:
        raise FormatError(f"{path}: not the index of a TensorFlow checkpoint (no magic number)")
    table = _Table(path, data)
    handles = data[-_FOOTER_SIZE:-8]
    meta_index, position = table.read_handle(handles, 0)
    index, _ = table.read_handle(handles, position)
    for _ in table.entries(meta_index):  # it is empty, and read for its checksum
        raise FormatError(f"{path}: the table has filters, which TensorFlow does not write")
    end = n_key_bytes = 0
    for _, value in table.entries(index):
        block, _ = table.read_handle(value, 0)
        if block[0] < end:
            raise FormatError(f"{path}: blocks overlap; the file is damaged, download it again")
        end = sum(block)
        for key, entry in table.entries(block):
            n_key_bytes += len(key)
            if n_key_bytes > _MOST_KEYS * size:
                raise FormatError(f"{path}: its keys have over {_MOST_KEYS} times its own size")
            yield key.decode("utf-8", errors="replace"), entry


class _Table:
    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.data = data

    def read_handle(self, data: bytes, position: int) -> tuple[tuple[int, int], int]:
        """((offset, size) of a block, position behind it)."""
        offset, position = self._varint(data, position)
        size, position = self._varint(data, position)
        return (offset, size), position

    def entries(self, handle: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
        block = self._block(*handle)
        n_restarts = int.from_bytes(block[-4:], "little")
        end = len(block) - 4 - 4 * n_restarts
        if len(block) < 4 or end < 0:
            raise FormatError(f"{self.path}: block at {handle[0]} has {n_restarts} restart points")
        key = b""
        position = 0
        while position < end:
            n_shared, position = self._varint(block, position)
            n_own, position = self._varint(block, position)
            n_value, position = self._varint(block, position)
            behind = position + n_own + n_value
            if n_shared > len(key) or n_shared + n_own > _MAX_KEY_SIZE or behind > end:
                raise FormatError(f"{self.path}: damaged entry in the block at {handle[0]}")
            key = key[:n_shared] + block[position : position + n_own]
            yield key, block[position + n_own : behind]
            position = behind

    def _block(self, offset: int, size: int) -> bytes:
        from pygpt2edge import _core

        end = offset + size
        if end + _TRAILER_SIZE > len(self.data):
            raise FormatError(
                f"{self.path}: block of {size} bytes at {offset} reaches beyond the file's "
                f"{len(self.data)} bytes; it is truncated"
            )
        stored = int.from_bytes(self.data[end + 1 : end + _TRAILER_SIZE], "little")
        if _core.crc32c(self.data[offset : end + 1]) != unmasked_crc(stored):
            raise FormatError(
                f"{self.path}: checksum of the block at {offset} does not match; "
                "the file is damaged, download it again"
            )
        if (compression := self.data[end]) != 0:
            name = _COMPRESSIONS.get(compression, f"type {compression}")
            raise UnsupportedError(
                f"{self.path}: block at {offset} is compressed ({name}), which is not supported; "
                "OpenAI's checkpoints and tf.train.Saver write no compression"
            )
        return self.data[offset:end]

    def _varint(self, data: bytes, position: int) -> tuple[int, int]:
        value, position = read_varint(data, position)
        if value < 0:
            raise FormatError(f"{self.path}: damaged number in the table")
        return value, position


def read_varint(data: bytes, position: int) -> tuple[int, int]:
    """(value, position behind it) of a little-endian base-128 number; value -1 when damaged."""
    value = 0
    for shift in range(0, 64, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    return -1, position


def unmasked_crc(masked: int) -> int:
    """Stored checksums are rotated and shifted, so that a checksum of checksums stays useful."""
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF
