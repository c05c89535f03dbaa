"""Reads the small JSON files of a checkpoint, with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pygpt2edge.errors import FormatError


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises FormatError when it is not JSON, or not an object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: not valid JSON ({error}); download the file again") from error
    if not isinstance(value, dict):
        raise FormatError(f"{path}: holds a JSON {type(value).__name__}, expected an object")
    return value
