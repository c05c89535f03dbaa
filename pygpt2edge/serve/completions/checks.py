"""What requests for texts have in common is checked here."""

from __future__ import annotations

import msgspec

from pygpt2edge import _core
from pygpt2edge.serve.completions.request import GenerationFields
from pygpt2edge.serve.http.errors import invalid
from pygpt2edge.serve.service import Service


def check_fields(service: Service, fields: GenerationFields) -> None:
    """Raises ApiError for what no route does, and for what does not go together."""
    service.check_name(fields.model)
    if not _core.has_language_model(service.model.core_model):
        raise invalid("this model was fine-tuned to classify, and has no head that writes text")
    if fields.stream_options is not None and not fields.stream:
        raise invalid("stream_options is for requests with stream: true", "stream_options")


def whole_number(fields: msgspec.Struct, name: str, default: int, low: int, high: int) -> int:
    """A field's value. Raises ApiError where it is out of range."""
    value = getattr(fields, name)
    if value is None:
        return default
    if not low <= value <= high:
        raise invalid(f"{name} is {value}; give {low} to {high}", name)
    return int(value)
