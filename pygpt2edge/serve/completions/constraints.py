"""What a text must be: OpenAI's response_format and vLLM's guided_* as the options of a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pygpt2edge.options import LANGUAGES
from pygpt2edge.serve.http.errors import invalid

# The field -> the option, which is a field itself, by llama.cpp's names for two of them.
ALIASES = {"guided_regex": "regex", "guided_json": "json_schema", "guided_grammar": "grammar"}


def constraint_of(request: msgspec.Struct) -> tuple[str, str, Any] | None:
    """The field that constrains the text, the option that it is, and its value. Raises ApiError."""
    names = {**{name: name for name in LANGUAGES}, **ALIASES}
    found = [
        (name, option, getattr(request, name))
        for name, option in names.items()
        if getattr(request, name) is not None
    ]
    schema = _schema(getattr(request, "response_format", None))
    if schema is not None:
        found.append(("response_format", "json_schema", schema))
    if len(found) > 1:
        given = " and ".join(name for name, _, _ in found)
        raise invalid(f"{given} are given, expected one of them at most", found[1][0])
    return found[0] if found else None


def _schema(response_format: Mapping[str, Any] | None) -> Any:
    """The schema that OpenAI's field asks for; None where any text will do."""
    if response_format is None:
        return None
    kind = response_format.get("type")
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    inner = response_format.get("json_schema")
    if kind == "json_schema" and isinstance(inner, dict) and "schema" in inner:
        return inner["schema"]
    raise invalid(
        'response_format must be {"type": "text"}, {"type": "json_object"} or {"type": '
        '"json_schema", "json_schema": {"schema": ...}}',
        "response_format",
    )
