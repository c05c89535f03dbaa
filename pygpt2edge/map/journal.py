"""The results so far, on disk, so that a run that was killed can go on.

A text file beside the output: what the results belong to, then one result a line, each written when
it is there. A run that was killed leaves at most its last line incomplete; the next one drops it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pygpt2edge.errors import FormatError
from pygpt2edge.map.tasks import Result

_SYNC_S = 5.0  # what a power cut can cost


class Journal:
    """Opens the journal of an output, or begins it.

    Raises FormatError for the journal of a run of another input, model or task.
    """

    def __init__(self, path: Path, belongs_to: dict[str, Any]) -> None:
        self.path = path
        self.belongs_to = belongs_to
        self.n_results = 0
        end = self._check() if path.exists() else 0
        self._file = path.open("r+b" if end else "wb")
        if end:
            self._file.truncate(end)
            self._file.seek(end)
        else:
            self._write(self.belongs_to)
        self._synced = time.monotonic()

    def add(self, result: Result) -> None:
        self._write(result)
        self.n_results += 1
        if time.monotonic() - self._synced > _SYNC_S:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def results(self) -> Iterator[Result]:
        """All so far, in order."""
        with self.path.open("rb") as file:
            next(file)
            for line in file:
                yield json.loads(line)

    def close(self) -> None:
        self._file.close()

    def _write(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value).encode() + b"\n")
        self._file.flush()

    def _check(self) -> int:
        """Where its last whole line ends; 0 where there is none."""
        end = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                if end:
                    self.n_results += 1
                else:
                    self._compare(line)
                end += len(line)
        return end

    def _compare(self, line: bytes) -> None:
        try:
            found = dict(json.loads(line))
        except (ValueError, TypeError):
            found = {}
        expected = json.loads(json.dumps(self.belongs_to))
        changed = [name for name in expected if found.get(name) != expected[name]]
        if not changed:
            return
        raise FormatError(
            f"{self.path}: left by a run that had another {' and '.join(changed)}; give what that "
            "had to go on with it, or delete the file to begin anew"
        )
