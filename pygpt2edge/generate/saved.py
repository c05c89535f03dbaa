"""Texts in the making, as files: to go on another day exactly where they stopped.

A file is, in this order: the 8 bytes "p2etext1"; the lengths in bytes of the header (u32) and of
the keys and values (u64), little-endian; the header, in JSON; the keys and values of each context,
as `Session.page` gives them; and the CRC-32C (u32) of all that stands before. Nothing in it is
code, and nothing is believed before the checksum and the model's fingerprint are.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, TypeVar

from pygpt2edge import _core
from pygpt2edge.errors import FormatError, UnsupportedError
from pygpt2edge.output_file import check_target, replaced_when_whole

T = TypeVar("T")
MAGIC = b"p2etext1"
_LENGTHS = struct.Struct("<IQ")
_CRC = struct.Struct("<I")


@dataclasses.dataclass(frozen=True)
class SavedText:
    """What a file holds, once it is known to be whole."""

    path: Path
    header: dict[str, Any]
    contexts: list[memoryview]  # of the contexts' keys and values

    def field(self, name: str, kind: type[T]) -> T:
        """A field of the header. Raises FormatError where it is missing or of another kind."""
        value = self.header.get(name)
        if not isinstance(value, kind):
            raise FormatError(f"{self.path}: {name} is {value!r:.60}, expected {kind.__name__}")
        return value

    def numbers(self, name: str) -> list[int]:
        """A field that is a list of numbers of 0 and more."""
        values = self.field(name, list)
        if not all(type(value) is int and value >= 0 for value in values):
            raise FormatError(f"{self.path}: {name} has something that is no number of 0 or more")
        return values


def write(path: Path, header: dict[str, Any], sessions: Sequence[_core.Session]) -> None:
    """Writes a file, whole or not at all. Raises OSError.

    `header` is JSON's; the sessions' tokens and sizes are added to it.
    """
    sizes = [session.cache_bytes_used for session in sessions]
    header = header | {"contexts": [session.tokens for session in sessions], "sizes": sizes}
    text = json.dumps(header, separators=(",", ":")).encode()
    start = MAGIC + _LENGTHS.pack(len(text), sum(sizes)) + text
    n_bytes = len(start) + sum(sizes) + _CRC.size
    check_target(path, n_bytes)
    with replaced_when_whole(path, n_bytes) as temporary, temporary.open("wb") as file:
        file.write(start)
        crc = _core.crc32c(start)
        for session in sessions:
            for index in range(session.n_pages):
                page = session.page(index)
                file.write(page)
                crc = _core.crc32c(page, crc)
        file.write(_CRC.pack(crc))


def read(path: Path, model_fingerprint: str) -> SavedText:
    """Reads a file and checks all of it. Raises OSError, FormatError, UnsupportedError."""
    with path.open("rb") as file:
        # Mapping an empty file is an error of its own.
        is_empty = path.stat().st_size == 0
        data = memoryview(b"" if is_empty else mmap(file.fileno(), 0, access=ACCESS_READ))
    first = len(MAGIC) + _LENGTHS.size
    if data[: len(MAGIC)] != MAGIC:
        if data[:7] == MAGIC[:7]:
            raise UnsupportedError(f"{path}: a saved text of another version of pygpt2edge")
        raise FormatError(f"{path}: not a saved text: it does not begin with {MAGIC.decode()!r}")
    if len(data) < first:
        raise FormatError(f"{path}: ends within its first {first} bytes: save the text again")
    n_header, n_pages = _LENGTHS.unpack_from(data, len(MAGIC))
    if len(data) != first + n_header + n_pages + _CRC.size:
        raise FormatError(
            f"{path}: has {len(data)} bytes and says {first + n_header + n_pages + _CRC.size}: "
            "it is damaged or cut short; save the text again"
        )
    (crc,) = _CRC.unpack_from(data, len(data) - _CRC.size)
    if _core.crc32c(data[: -_CRC.size]) != crc:
        raise FormatError(f"{path}: its checksum is wrong: it is damaged; save the text again")
    saved = SavedText(path, _parsed(path, bytes(data[first : first + n_header])), [])
    if saved.field("model", str) != model_fingerprint:
        name = saved.field("model_name", str)
        raise UnsupportedError(f"{path}: was saved with another model ({name}): load that one")
    at = first + n_header
    for size in saved.numbers("sizes"):
        saved.contexts.append(data[at : at + size])
        at += size
    return saved


def _parsed(path: Path, header: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(header)
    except ValueError as error:
        raise FormatError(f"{path}: its header is not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise FormatError(f"{path}: its header is no JSON object")
    return parsed
