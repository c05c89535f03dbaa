"""Reads the small JSON files of a checkpoint, with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pygpt2edge.errors import FormatError

_DEEPEST = 100


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises FormatError when it is not JSON, or not an object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: not valid JSON ({error}); download the file again") from error
    if not isinstance(value, dict):
        raise FormatError(f"{path}: holds a JSON {type(value).__name__}, expected an object")
    if _is_deeper(value, _DEEPEST):
        raise FormatError(
            f"{path}: JSON that is nested over {_DEEPEST} deep, as no file of a checkpoint is"
        )
    return value


def _is_deeper(value: dict[str, Any], most: int) -> bool:
    """What is very deep overflows those that go through it by recursion."""
    level: list[Any] = [value]
    for _ in range(most):
        parts = [part.values() if isinstance(part, dict) else part for part in level]
        level = [inner for part in parts for inner in part if isinstance(inner, dict | list)]
    return bool(level)
