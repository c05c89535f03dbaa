"""A tensor as it lies on disk, read in slabs of rows.

Every checkpoint reader ends in the same thing: a file, an offset, a shape and strides. So the
readers only parse an index, and this file does all the reading. Transposing is swapping two
strides; taking some rows is moving the offset. Nothing is mapped: plain reads keep the process as
small as the slab it works on.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pygpt2edge.errors import FormatError

if TYPE_CHECKING:
    from io import FileIO

    from numpy.typing import NDArray

# bf16 has no numpy type: it is read as the upper halves of float32 and widened by a shift.
_NUMPY_DTYPES = {"f32": "<f4", "f16": "<f2", "bf16": "<u2", "f64": "<f8"}
_OTHER_SIZES = {"bool": 1, "u8": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8}
ITEM_SIZES = {name: np.dtype(code).itemsize for name, code in _NUMPY_DTYPES.items()} | _OTHER_SIZES

# Side of the square blocks of a transposition: two 128 x 128 float32 blocks are 128 kB, so the
# lines of the source stay in the L2 cache until all their columns are used. Between 1.1 and 2.5
# times as fast as one strided copy, most where rows are a power of two long.
_BLOCK = 128

_CRC_CHUNK = 4 << 20
_MOST_DIMENSIONS = 32  # of any tensor, also of one that is no weight


class RowSource(Protocol):
    """A matrix (n_out, n_in) or a vector (n,) whose rows can be read a few at a time."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    def read_rows(self, first: int, n: int) -> NDArray[np.float32]:
        """Rows [first, first + n) as float32 (n, n_in); a vector counts as one row."""
        ...

    def verify(self) -> None:
        """Raises FormatError when the file stores a checksum and the bytes do not match it."""
        ...


def row_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """(n_rows, n_in) of a matrix; a vector is one row."""
    return (1, shape[0]) if len(shape) == 1 else (shape[0], shape[1])


@dataclass(frozen=True)
class Checksum:
    """Of a run of bytes of a tensor's file, where the format stores one."""

    kind: str  # "crc32", a zip archive's, or "crc32c"
    offset: int
    n_bytes: int
    expected: int

    def verify(self, path: Path, name: str) -> None:
        from pygpt2edge import _core

        update = {"crc32": zlib.crc32, "crc32c": _core.crc32c}[self.kind]
        found, remaining = 0, self.n_bytes
        with path.open("rb", buffering=0) as file:
            file.seek(self.offset)
            while remaining > 0:
                chunk = file.read(min(_CRC_CHUNK, remaining))
                if not chunk:
                    raise FormatError(f"{path}: file ends inside tensor {name}")
                found = update(chunk, found)
                remaining -= len(chunk)
        if found != self.expected:
            raise FormatError(
                f"{path}: tensor {name}: checksum {found:#010x}, expected "
                f"{self.expected:#010x}; the file is damaged, download it again"
            )


@dataclass(frozen=True)
class StoredTensor:
    """Numbers in a file. Offsets are bytes from its start; strides are in elements."""

    name: str
    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    strides: tuple[int, ...]
    checksum: Checksum | None = None  # of bytes that hold the tensor's

    @classmethod
    def contiguous(
        cls, name: str, path: Path, dtype: str, shape: tuple[int, ...], offset: int
    ) -> StoredTensor:
        shape = checked_shape(path, name, shape)
        return cls(name, path, dtype, shape, offset, contiguous_strides(shape))

    @property
    def n_elements(self) -> int:
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        return self.n_elements * ITEM_SIZES[self.dtype]

    def transposed(self) -> StoredTensor:
        return replace(self, shape=self.shape[::-1], strides=self.strides[::-1])

    def first_rows(self, n: int) -> StoredTensor:
        """(a, b) -> (n, b)."""
        return replace(self, shape=(n, *self.shape[1:]))

    def without_leading_one(self) -> StoredTensor:
        """(1, a, b) -> (a, b)."""
        return replace(self, shape=self.shape[1:], strides=self.strides[1:])

    def read_rows(self, first: int, n: int) -> NDArray[np.float32]:
        offset = self.offset
        shape, strides = self.shape, self.strides
        if len(shape) == 1:
            shape, strides = (1, *shape), (0, *strides)
        offset += first * strides[0] * ITEM_SIZES[self.dtype]
        with self.path.open("rb", buffering=0) as file:
            reader = _StridedReader(file, self)
            stored = reader.read(offset, (n, *shape[1:]), strides)
        return _to_float32(stored, is_bf16=self.dtype == "bf16")

    def verify(self) -> None:
        """Raises FormatError for bytes that are not those that were written."""
        if self.checksum is not None:
            self.checksum.verify(self.path, self.name)


@dataclass(frozen=True)
class ZeroVector:
    """The bias of a model that has none."""

    shape: tuple[int, ...]
    dtype: str = "f32"

    def read_rows(self, first: int, n: int) -> NDArray[np.float32]:
        return np.zeros((n, *self.shape), np.float32)

    def verify(self) -> None:
        """Nothing is stored that could be damaged."""


def checked_shape(path: Path, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape, if a tensor may have it. Products of very many numbers take very long."""
    if len(shape) > _MOST_DIMENSIONS or any(n >= 1 << 63 for n in shape):
        raise FormatError(
            f"{path}: tensor {name:.80} has {len(shape):,} dimensions, expected "
            f"{_MOST_DIMENSIONS} at most, of 63 bits"
        )
    return shape


def contiguous_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def read_exactly(file: FileIO, offset: int, buffer: memoryview, what: str) -> None:
    """Fills `buffer` from `offset`; FormatError when the file is shorter than that."""
    file.seek(offset)
    done = 0
    while done < len(buffer):
        got = file.readinto(buffer[done:])
        if not got:
            raise FormatError(f"{file.name}: file ends inside tensor {what}; it is truncated")
        done += got


@dataclass(frozen=True)
class _StridedReader:
    """Reads a strided view with few reads and little that is not wanted."""

    file: FileIO
    tensor: StoredTensor

    def read(self, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> NDArray[Any]:
        """An array of that shape, its memory in the file's order rather than in row order."""
        dtype = np.dtype(_NUMPY_DTYPES[self.tensor.dtype])
        span = 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        wanted = math.prod(shape)
        # One read of the whole stretch, unless that means more gaps than numbers. A vector's gaps
        # cannot be skipped with fewer reads than one a number.
        if sum(n > 1 for n in shape) <= 1 or span <= 2 * wanted:
            flat = np.empty(span, dtype)
            read_exactly(self.file, offset, memoryview(flat).cast("B"), self.tensor.name)
            steps = tuple(stride * dtype.itemsize for stride in strides)
            return np.lib.stride_tricks.as_strided(flat, shape, steps, writeable=False)

        outer = max(range(len(shape)), key=lambda axis: (shape[axis] > 1, strides[axis]))
        step = strides[outer] * dtype.itemsize
        inner_shape = shape[:outer] + shape[outer + 1 :]
        inner_strides = strides[:outer] + strides[outer + 1 :]
        parts = np.empty((shape[outer], *inner_shape), dtype)
        is_solid = inner_strides == contiguous_strides(inner_shape)
        for i in range(shape[outer]):
            if is_solid:  # straight into place
                part = memoryview(parts[i]).cast("B")
                read_exactly(self.file, offset + i * step, part, self.tensor.name)
            else:
                parts[i] = self.read(offset + i * step, inner_shape, inner_strides)
        return np.moveaxis(parts, 0, outer)


def _to_float32(stored: NDArray[Any], *, is_bf16: bool) -> NDArray[np.float32]:
    """A C-contiguous float32 copy of a matrix that may lie transposed in memory."""
    n_rows, n_in = stored.shape
    result = np.empty((n_rows, n_in), np.float32)
    is_transposed = n_rows > 1 and n_in > 1 and stored.strides[1] > stored.strides[0]
    block_rows, block_in = (_BLOCK, _BLOCK) if is_transposed else (n_rows, n_in)
    for row in range(0, n_rows, block_rows):
        for column in range(0, n_in, block_in):
            block = np.s_[row : row + block_rows, column : column + block_in]
            if is_bf16:
                np.left_shift(stored[block], 16, out=result.view(np.uint32)[block], dtype=np.uint32)
            else:
                # A float64 beyond float32's range becomes infinity, which the caller refuses.
                with np.errstate(over="ignore"):
                    result[block] = stored[block]
    return result
