"""Files of records: JSON Lines (.jsonl), and Parquet (.parquet) by pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Protocol

from pygpt2edge.errors import FormatError, require
from pygpt2edge.map.tasks import Record, Result

_FORMS = ".jsonl or .parquet"


@dataclass(frozen=True)
class Piece:
    """Records that follow each other in a file.

    Attributes:
      first: the number of the first, from 0.
      n_records: how many.
      byte, line: where the first begins in a file of lines.
    """

    first: int
    n_records: int
    byte: int = 0
    line: int = 1


class Table(Protocol):
    """A file of records, read from its beginning each time."""

    path: Path

    def count(self) -> int: ...
    def records(self, piece: Piece | None = None) -> Iterator[Record]:
        """All of them, or those of a piece."""
        ...

    def pieces(self, first: int, size: int) -> Iterator[Piece]:
        """The records from number `first` on, so many in each piece, fewer in the last."""
        ...

    def write_joined(self, out: Path, results: Iterable[Result], columns: dict[str, str]) -> None:
        """Writes each record with its result's fields; "error" is one of them where there is
        one."""
        ...


def open_table(path: Path, out: Path) -> Table:
    """A table by the ending of its name, which the output's must equal.

    Raises ValueError for another ending, FileNotFoundError where the file is missing.
    """
    kinds: dict[str, type[Table]] = {".jsonl": _JsonLines, ".parquet": _Parquet}
    kind = kinds.get(path.suffix)
    if kind is None:
        raise ValueError(f"{path}: expected a file of records, {_FORMS}")
    if out.suffix != path.suffix:
        raise ValueError(f"{out}: expected a name in {path.suffix}, as the input has")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {_FORMS}")
    return kind(path)  # type: ignore[call-arg]


class _JsonLines:
    """An object on each line; empty lines are none."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def count(self) -> int:
        return sum(1 for _ in self._lines())

    def pieces(self, first: int, size: int) -> Iterator[Piece]:
        places = islice(((byte, number) for byte, number, _ in self._lines()), first, None)
        for start in count(first, size):
            part = list(islice(places, size))
            if not part:
                return
            yield Piece(start, len(part), *part[0])

    def records(self, piece: Piece | None = None) -> Iterator[Record]:
        lines = self._lines()
        if piece is not None:
            lines = islice(self._lines(piece.byte, piece.line), piece.n_records)
        for _, number, line in lines:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield ValueError(f"line {number} is not JSON: {error}")
                continue
            if isinstance(record, dict):
                yield record
            else:
                yield ValueError(f"line {number} is {record!r:.60}, expected an object")

    def write_joined(self, out: Path, results: Iterable[Result], columns: dict[str, str]) -> None:
        with out.open("w", encoding="utf-8", newline="\n") as file:
            for record, result in zip(self.records(), results, strict=True):
                fields = {} if isinstance(record, ValueError) else _with_place(record, columns)
                file.write(json.dumps(fields | result, ensure_ascii=False) + "\n")

    def _lines(self, byte: int = 0, first: int = 1) -> Iterator[tuple[int, int, bytes]]:
        """Where each line begins, its number, and itself, from the line that begins there."""
        with self.path.open("rb") as file:
            file.seek(byte)
            for number, line in enumerate(file, first):
                if line.strip():
                    yield byte, number, line
                byte += len(line)


class _Parquet:
    """A row of columns for each record."""

    def __init__(self, path: Path) -> None:
        require("pyarrow", "Parquet files")
        self.path = path

    def count(self) -> int:
        return int(self._file().metadata.num_rows)

    def pieces(self, first: int, size: int) -> Iterator[Piece]:
        end = self.count()
        for start in range(first, end, size):
            yield Piece(start, min(size, end - start))

    def records(self, piece: Piece | None = None) -> Iterator[Record]:
        file = self._file()
        piece = piece or Piece(0, self.count())
        before, group = piece.first, 0  # rows before the piece, of the row groups read
        while group < file.num_row_groups and before >= file.metadata.row_group(group).num_rows:
            before -= file.metadata.row_group(group).num_rows
            group += 1
        missing = piece.n_records
        for batch in file.iter_batches(1024, row_groups=list(range(group, file.num_row_groups))):
            wanted = batch.slice(before, missing)
            before = max(0, before - batch.num_rows)
            missing -= wanted.num_rows
            yield from wanted.to_pylist()
            if not missing:
                return

    def write_joined(self, out: Path, results: Iterable[Result], columns: dict[str, str]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        types = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64(),
                 "list<double>": pa.list_(pa.float64())}  # fmt: skip
        file, remaining = self._file(), iter(results)
        added = pa.schema([(n, types[kind]) for n, kind in (columns | {"error": "string"}).items()])
        for name in added.names:
            if name in file.schema_arrow.names:
                raise FormatError(f"{self.path}: has a column {name!r} already; rename it")
        schema = pa.schema([*file.schema_arrow, *added])
        with parquet.ParquetWriter(out, schema) as writer:
            for batch in file.iter_batches(1024):
                rows = list(islice(remaining, batch.num_rows))
                new = [pa.array([row.get(each.name) for row in rows], each.type) for each in added]
                writer.write_table(pa.table([*batch.columns, *new], schema=schema))

    def _file(self) -> Any:
        import pyarrow as pa
        from pyarrow import parquet

        try:
            return parquet.ParquetFile(self.path)
        except pa.ArrowInvalid as error:
            raise FormatError(f"{self.path}: not a Parquet file: {error}") from error


def _with_place(record: Any, columns: dict[str, str]) -> dict[str, Any]:
    """The record's fields, without those that a result is about to give."""
    return {name: value for name, value in record.items() if name not in (*columns, "error")}
