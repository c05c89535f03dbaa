"""Where each variable of a TensorFlow checkpoint lies, read without TensorFlow.

`<prefix>.index` is a sorted string table. Its first key, empty, holds the number of data files and
the byte order; every other key is a variable's name, with the type, shape, file, offset, size and
crc32c of its numbers. The values are protocol buffers of a few fields.

Format: tensorflow/core/protobuf/tensor_bundle.proto, tensorflow/core/util/tensor_bundle.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pygpt2edge.convert.sstable import read_sstable, read_varint, unmasked_crc
from pygpt2edge.convert.stored_tensor import Checksum, StoredTensor
from pygpt2edge.errors import FormatError, UnsupportedError

_DTYPES = {1: "f32", 2: "f64", 3: "i32", 9: "i64", 14: "bf16", 19: "f16"}
_BIG_ENDIAN = 1
_MAX_SHARDS = 100_000  # file names have five digits

# Field numbers of the three messages.
_HEADER_NUM_SHARDS, _HEADER_ENDIANNESS = 1, 2
_ENTRY_DTYPE, _ENTRY_SHAPE, _ENTRY_SHARD, _ENTRY_OFFSET = 1, 2, 3, 4
_ENTRY_SIZE, _ENTRY_CRC, _ENTRY_SLICES = 5, 6, 7
_SHAPE_DIM, _DIM_SIZE = 2, 1

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def checkpoint_prefix(folder: Path) -> Path | None:
    """The path before `.index` of a folder's latest checkpoint; None when it has none.

    OpenAI names it model.ckpt; fine-tuning tools write model-1000 and say so in `checkpoint`.
    """
    state = folder / "checkpoint"
    if state.is_file():
        text = state.read_bytes()[:65536].decode("utf-8", errors="replace")
        if match := re.search(r'^model_checkpoint_path:\s*"([^"\n]+)"', text, re.MULTILINE):
            prefix = folder / Path(match[1]).name
            if Path(f"{prefix}.index").is_file():
                return prefix
    prefix = folder / "model.ckpt"
    return prefix if Path(f"{prefix}.index").is_file() else None


def read_tf_checkpoint(prefix: Path) -> dict[str, StoredTensor]:
    """Variable name -> place. Raises FormatError when the index is invalid."""
    index = Path(f"{prefix}.index")
    entries = read_sstable(index)
    key, header = next(entries, (None, b""))
    if key != "":
        raise FormatError(f"{index}: has no header entry; the file is damaged")
    fields = dict(_fields(index, header))
    n_shards = fields.get(_HEADER_NUM_SHARDS, 0)
    if not isinstance(n_shards, int) or not 1 <= n_shards < _MAX_SHARDS:
        raise FormatError(f"{index}: claims {n_shards!r} data files")
    if fields.get(_HEADER_ENDIANNESS, 0) == _BIG_ENDIAN:
        raise UnsupportedError(f"{index}: numbers are big-endian, expected little-endian")

    tensors = {}
    for name, value in entries:
        tensor = _read_entry(index, name, value, prefix, n_shards)
        if tensor is not None:
            tensors[name] = tensor
    return tensors


def _read_entry(
    index: Path, name: str, value: bytes, prefix: Path, n_shards: int
) -> StoredTensor | None:
    """The tensor's place; None for a type that no weight has, such as a string."""
    fields = dict(_fields(index, value))
    if _ENTRY_SLICES in fields:
        raise UnsupportedError(f"{index}: variable {name} is partitioned, which is not supported")
    dtype = _DTYPES.get(_integer(fields, _ENTRY_DTYPE))
    if dtype is None:
        return None
    shape = tuple(_read_shape(index, fields.get(_ENTRY_SHAPE, b"")))
    shard = _integer(fields, _ENTRY_SHARD)
    data = Path(f"{prefix}.data-{shard:05d}-of-{n_shards:05d}")
    if not data.is_file():
        raise FileNotFoundError(f"{data}: missing; {index.name} says variable {name} is in it")
    offset, size = _integer(fields, _ENTRY_OFFSET), _integer(fields, _ENTRY_SIZE)
    tensor = StoredTensor.contiguous(name, data, dtype, shape, offset)
    if size != tensor.n_bytes:
        raise FormatError(
            f"{index}: variable {name} has {size} bytes, expected {tensor.n_bytes} "
            f"for {dtype} {list(shape)}"
        )
    if offset + size > data.stat().st_size:
        raise FormatError(
            f"{data}: {data.stat().st_size} bytes, but variable {name} ends at byte "
            f"{offset + size}; the file is truncated, download it again"
        )
    expected = unmasked_crc(_integer(fields, _ENTRY_CRC))
    return replace(tensor, checksum=Checksum("crc32c", tensor.offset, tensor.n_bytes, expected))


def _read_shape(index: Path, message: int | bytes) -> Iterator[int]:
    for field, dim in _fields(index, message):
        if field == _SHAPE_DIM:
            yield _integer(dict(_fields(index, dim)), _DIM_SIZE)


def _integer(fields: dict[int, int | bytes], field: int) -> int:
    """A field's number; absent means 0, as protocol buffers have it."""
    value = fields.get(field, 0)
    return value if isinstance(value, int) else 0


def _fields(index: Path, message: int | bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of a protocol buffer: numbers as int, messages as bytes."""
    if isinstance(message, int):
        raise FormatError(f"{index}: damaged entry")
    position = 0
    while position < len(message):
        tag, position = read_varint(message, position)
        field, wire_type = tag >> 3, tag & 7
        value: int | bytes
        if wire_type == _VARINT:
            value, position = read_varint(message, position)
        elif wire_type in (_FIXED32, _FIXED64):
            size = 4 if wire_type == _FIXED32 else 8
            value = int.from_bytes(message[position : position + size], "little")
            position += size
        elif wire_type == _BYTES:
            size, position = read_varint(message, position)
            value = message[position : position + size] if size >= 0 else -1
            position += size
        else:
            value = -1
        if value == -1 or field < 1 or position > len(message):
            raise FormatError(f"{index}: damaged entry")
        yield field, value
