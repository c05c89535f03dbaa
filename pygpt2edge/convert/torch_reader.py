"""Where each tensor of a file of torch.save lies, such as `pytorch_model.bin`, without PyTorch.

Since PyTorch 1.6 the file is a zip archive whose members are stored, not compressed: the pickled
description `<name>/data.pkl`, and one member `<name>/data/<key>` a storage. Before that it was five
things in a row: the pickles of a magic number, a version, the machine's integer sizes, the
description and the list of storage keys; then each storage as an int64 count and its numbers.
Formats: torch/serialization.py of PyTorch.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pygpt2edge.convert.gpt2_names import is_embedding
from pygpt2edge.convert.stored_tensor import ITEM_SIZES, Checksum, StoredTensor, checked_shape
from pygpt2edge.convert.torch_pickle import (
    Storage,
    TensorView,
    read_pickle,
    refuse_foreign,
    shown,
)
from pygpt2edge.errors import FormatError, Gpt2EdgeError, UnsupportedError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
# Descriptions take about 200 bytes a tensor; the four pickles of an old file fit in this start.
_MAX_PICKLE_BYTES = 64 << 20
_MEMBER_MAGIC = b"PK\x03\x04"
_LOCAL_HEADER_SIZE = 30  # of a zip member, before its name and its extra field


class TorchFile(NamedTuple):
    """name -> place, for all tensors of a state dict; and what the file has beside it."""

    tensors: dict[str, StoredTensor]
    beside: dict[str, Any]


def read_torch(path: Path) -> dict[str, StoredTensor]:
    """name -> place, for all tensors. Raises FormatError for invalid sizes, offsets or strides."""
    return read_torch_file(path).tensors


def read_torch_file(path: Path) -> TorchFile:
    """A state dict, or a dictionary that has one: what a training run saves to go on from."""
    with path.open("rb") as file:
        is_zip = file.read(4) == _MEMBER_MAGIC
    state, beside, places = _read_zip(path) if is_zip else _read_legacy(path)
    tensors = {}
    for name, view in state.items():
        try:
            refuse_foreign(view)
        except UnsupportedError as error:
            raise UnsupportedError(f"{path}: {error}") from None
        if not isinstance(name, str) or not isinstance(view, TensorView):
            raise UnsupportedError(
                f"{path}: entry {shown(name)} is a {type(view).__name__}, expected a tensor; "
                "save the model's state_dict() alone, or use save_pretrained"
            )
        tensors[name] = _checked(path, name, view, places)
    return TorchFile(tensors, beside)


def _state_dict(path: Path, saved: Any) -> tuple[dict[Any, Any], dict[str, Any]]:
    """(the state dict, what stands beside it) of what a file holds."""
    if not isinstance(saved, dict):
        raise UnsupportedError(f"{path}: holds a {type(saved).__name__}, expected a state dict")
    if not any(map(is_embedding, saved)):
        for key, value in saved.items():
            if isinstance(value, dict) and any(map(is_embedding, value)):
                return value, {name: entry for name, entry in saved.items() if name != key}
    return saved, {}


class _Place(NamedTuple):
    """Where a storage's bytes begin, and what they add up to, where the file says so."""

    offset: int
    checksum: Checksum | None = None


_Contents = tuple[dict[Any, Any], dict[str, Any], dict[Storage, _Place]]


def _read_zip(path: Path) -> _Contents:
    """The state dict, what stands beside it, and where in the file each of its storages is."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            unchecked = _without_checksums(members.values())
            description = next((n for n in members if n.endswith("/data.pkl")), None)
            if description is None:
                raise FormatError(f"{path}: a zip archive without data.pkl, not a PyTorch file")
            folder = description.removesuffix("data.pkl")
            _check_little_endian(path, archive, members.get(folder + "byteorder"))
            info = members[description]
            _check_stored(path, info)
            saved = read_pickle(io.BytesIO(archive.read(info)), path)
    except (Gpt2EdgeError, MemoryError, PermissionError):
        raise
    # A damaged or truncated directory makes zipfile raise nearly anything.
    except Exception as error:
        raise FormatError(
            f"{path}: damaged archive ({type(error).__name__}: {error}); download it again"
        ) from error

    state, beside = _state_dict(path, saved)
    places = {}
    with path.open("rb") as file:
        for storage in _storages(state):
            member = members.get(f"{folder}data/{storage.key}")
            if member is None:
                raise FormatError(f"{path}: storage {storage.key!r:.40} is missing")
            offset = _member_offset(path, file, member, storage)
            checksum = (
                None if unchecked else Checksum("crc32", offset, member.file_size, member.CRC)
            )
            places[storage] = _Place(offset, checksum)
    return state, beside, places


def _without_checksums(members: Iterable[zipfile.ZipInfo]) -> bool:
    """Whether torch was told to leave them out (set_crc32_options); then they are not looked at."""
    members = [member for member in members if member.file_size > 0]
    if any(member.CRC for member in members):
        return False
    for member in members:
        del member.CRC
    return True


def _check_little_endian(
    path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo | None
) -> None:
    if member is None or member.file_size > 16:
        return
    _check_stored(path, member)
    if archive.read(member) == b"big":
        raise UnsupportedError(f"{path}: numbers are big-endian, expected little-endian")


def _check_stored(path: Path, member: zipfile.ZipInfo) -> None:
    """A compressed member could be far larger than the file."""
    if member.compress_type != zipfile.ZIP_STORED:
        raise UnsupportedError(
            f"{path}: member {member.filename:.100} is compressed; torch.save never does that"
        )
    if member.file_size > path.stat().st_size:
        raise FormatError(f"{path}: {member.filename:.100} claims {member.file_size} bytes")


def _member_offset(
    path: Path, file: io.BufferedReader, member: zipfile.ZipInfo, storage: Storage
) -> int:
    """Where the bytes of a stored member start."""
    _check_stored(path, member)
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER_SIZE)
    if len(header) < _LOCAL_HEADER_SIZE or header[:4] != _MEMBER_MAGIC:
        raise FormatError(f"{path}: member {member.filename} has no header; the file is damaged")
    name_length = int.from_bytes(header[26:28], "little")
    extra_length = int.from_bytes(header[28:30], "little")
    offset = member.header_offset + _LOCAL_HEADER_SIZE + name_length + extra_length
    n_bytes = storage.n_elements * ITEM_SIZES[storage.dtype]
    if n_bytes > member.file_size or offset + member.file_size > path.stat().st_size:
        raise FormatError(
            f"{path}: storage {storage.key!r:.40} claims {n_bytes} bytes, "
            f"the file has {member.file_size} for it"
        )
    return offset


def _read_legacy(path: Path) -> _Contents:
    file_size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(_MAX_PICKLE_BYTES)
        if not start.startswith(b"\x80"):
            raise FormatError(f"{path}: neither a zip archive nor a pickle: not a PyTorch file")
        stream = io.BytesIO(start)
        if read_pickle(stream, path) != _LEGACY_MAGIC:
            raise FormatError(f"{path}: a pickle, but not one that torch.save wrote")
        if (version := read_pickle(stream, path)) != _LEGACY_VERSION:
            raise UnsupportedError(f"{path}: PyTorch file version {shown(version)}, expected 1001")
        machine = read_pickle(stream, path)
        if not isinstance(machine, dict) or machine.get("little_endian") is not True:
            raise UnsupportedError(f"{path}: numbers are big-endian, expected little-endian")
        saved = read_pickle(stream, path)
        keys = read_pickle(stream, path)
        state, beside = _state_dict(path, saved)

        by_key = {storage.key: storage for storage in _storages(saved)}
        places = {}
        position = stream.tell()
        for key in keys if isinstance(keys, list) else []:
            storage = by_key.get(key) if isinstance(key, str) else None
            if storage is None:
                raise FormatError(f"{path}: storage {shown(key)} belongs to no tensor")
            file.seek(position)
            n_elements = int.from_bytes(file.read(8), "little", signed=True)
            position += 8
            if n_elements != storage.n_elements:
                raise FormatError(
                    f"{path}: storage {key!r:.40} has {n_elements} elements, "
                    f"its tensors say {storage.n_elements}"
                )
            places[storage] = _Place(position)
            position += n_elements * ITEM_SIZES[storage.dtype]
            if position > file_size:
                raise FormatError(f"{path}: file ends inside storage {key!r:.40}; it is truncated")
    return state, beside, places


def _storages(saved: Any) -> list[Storage]:
    """The distinct storages of all tensors, however deep they lie. Tied tensors share one."""
    found: dict[Storage, None] = {}
    waiting, seen = [saved], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, TensorView):
            if isinstance(value.storage, Storage):
                found[value.storage] = None
        elif isinstance(value, dict | list | tuple) and id(value) not in seen:
            seen.add(id(value))  # a pickle can hold itself
            waiting += value.values() if isinstance(value, dict) else value
    return list(found)


def _checked(
    path: Path, name: str, view: TensorView, places: dict[Storage, _Place]
) -> StoredTensor:
    """The tensor's place, once its view is known to stay inside its storage."""
    storage, first, shape, strides = view
    sizes_are_counts = (
        isinstance(shape, tuple)
        and isinstance(strides, tuple)
        and len(shape) == len(strides)
        and all(type(n) is int and n >= 0 for n in (first, *shape, *strides))
    )
    if not sizes_are_counts or not isinstance(storage, Storage) or storage not in places:
        raise FormatError(f"{path}: tensor {name}: damaged description; download the file again")
    n_elements = math.prod(checked_shape(path, name, shape))
    last = first + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    # Fewer numbers in storage than in the tensor: its strides overlap, or its shape is wrong.
    if n_elements > 0 and (last >= storage.n_elements or n_elements > storage.n_elements):
        raise FormatError(
            f"{path}: tensor {name}: shape {shape}, strides {strides} and offset {first} "
            f"reach beyond its storage of {storage.n_elements} elements"
        )
    place = places[storage]
    offset = place.offset + first * ITEM_SIZES[storage.dtype]
    return StoredTensor(name, path, storage.dtype, shape, offset, strides, place.checksum)
