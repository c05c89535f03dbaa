"""Files of records: JSON Lines (.jsonl), and Parquet (.parquet) by pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from pygpt2edge.errors import FormatError, require
from pygpt2edge.map.tasks import Record, Result

_FORMS = ".jsonl or .parquet"


class Table(Protocol):
    """A file of records, read from its beginning each time."""

    path: Path

    def count(self) -> int: ...
    def records(self) -> Iterator[Record]: ...
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

    def records(self) -> Iterator[Record]:
        for number, line in self._lines():
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

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line


class _Parquet:
    """A row of columns for each record."""

    def __init__(self, path: Path) -> None:
        require("pyarrow", "Parquet files")
        self.path = path

    def count(self) -> int:
        return int(self._file().metadata.num_rows)

    def records(self) -> Iterator[Record]:
        for batch in self._file().iter_batches(1024):
            yield from batch.to_pylist()

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
