"""What a text must be: OpenAI's response_format, vLLM's structured_outputs and its older guided_*,
as the options of a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from pygpt2edge.options import LANGUAGES
from pygpt2edge.serve.http.errors import invalid


class StructuredOutputs(msgspec.Struct, forbid_unknown_fields=True):
    """One of these, by vLLM's names."""

    regex: str | None = None
    json: dict[str, Any] | str | None = None
    json_object: bool | None = None
    grammar: str | None = None
    choice: list[str] | None = None


class ConstraintFields(msgspec.Struct, kw_only=True):
    """The fields that constrain a text. The options of a text, llama.cpp's names for them among
    those, are fields too."""

    response_format: Annotated[
        dict[str, Any] | None,
        msgspec.Meta(description="Text, a JSON object, or JSON of a schema, as OpenAI has it."),
    ] = None
    structured_outputs: Annotated[
        StructuredOutputs | None,
        msgspec.Meta(description="What regex, json_schema or grammar is, or a choice of texts."),
    ] = None
    guided_regex: Annotated[str | None, msgspec.Meta(description="What regex is.")] = None
    guided_json: Annotated[
        dict[str, Any] | str | None, msgspec.Meta(description="What json_schema is.")
    ] = None
    guided_grammar: Annotated[str | None, msgspec.Meta(description="What grammar is.")] = None
    guided_choice: Annotated[
        list[str] | None, msgspec.Meta(description="The text is one of these.")
    ] = None


# The names by which a request asks for a constraint, the options themselves apart.
NAMES = ConstraintFields.__struct_fields__


def constraint_of(request: msgspec.Struct) -> tuple[str, str, Any] | None:
    """The field that constrains the text, the option that it is, and its value. Raises ApiError."""
    found = [each for each in _given(request) if each[2] is not None]
    if len(found) > 1:
        given = " and ".join(name for name, _, _ in found)
        raise invalid(f"{given} are given, expected one of them at most", found[1][0])
    return found[0] if found else None


def _given(request: Any) -> Iterator[tuple[str, str, Any]]:
    """A field, the option that it is, and its value or None."""
    yield from ((name, name, getattr(request, name)) for name in LANGUAGES)
    yield "guided_regex", "regex", request.guided_regex
    yield "guided_json", "json_schema", request.guided_json
    yield "guided_grammar", "grammar", request.guided_grammar
    yield "guided_choice", "regex", _one_of("guided_choice", request.guided_choice)
    yield "response_format", "json_schema", _schema(request.response_format)
    outputs = request.structured_outputs
    if outputs is None:
        return
    given = [name for name in outputs.__struct_fields__ if getattr(outputs, name) is not None]
    if not given:
        allowed = ", ".join(outputs.__struct_fields__)
        raise invalid(f"structured_outputs has nothing, expected {allowed}", "structured_outputs")
    choices = _one_of("structured_outputs.choice", outputs.choice)
    yield "structured_outputs.regex", "regex", outputs.regex
    yield "structured_outputs.json", "json_schema", outputs.json
    any_object = {"type": "object"} if outputs.json_object else None
    yield "structured_outputs.json_object", "json_schema", any_object
    yield "structured_outputs.grammar", "grammar", outputs.grammar
    yield "structured_outputs.choice", "regex", choices


def _one_of(name: str, texts: Sequence[str] | None) -> str | None:
    """A regular expression of some texts."""
    if texts is None:
        return None
    if not texts:
        raise invalid(f"{name} is an empty list; give one text or more", name)
    return "|".join(re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", text) for text in texts)


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
