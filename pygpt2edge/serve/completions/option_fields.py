"""The options of a text as fields of a request, made from the one table of options."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, TypeVar, cast

import msgspec

from pygpt2edge.options import Option, SamplingParams, option_of
from pygpt2edge.serve.completions.constraints import constraint_of
from pygpt2edge.serve.http.errors import invalid
from pygpt2edge.serve.settings import Settings

Fields = TypeVar("Fields", bound=msgspec.Struct)

# What OpenAI's API does where a field is left out; the rest is the table's.
DEFAULTS: Mapping[str, Any] = {"max_tokens": 16, "temperature": 1.0, "top_k": 0}

# What a request cannot carry, or has a form of its own there.
_LEFT_OUT = {"logits_processor", "draft_model", "logprobs"}

_TYPES: Mapping[str, Any] = {
    "int": int,
    "float": float,
    "flag": bool,
    "choice": str,
    "texts": str | list[str],
    "tokens": list[int],
    "biases": dict[int, float],
    "source": str,
    "schema": dict[str, Any] | str,
}

_OPTIONS: Mapping[str, Option] = {
    each.name: option_of(each) for each in fields(SamplingParams) if each.name not in _LEFT_OUT
}
OPTION_NAMES = tuple(_OPTIONS)
_TABLE_DEFAULTS = SamplingParams()
_WITH_TOKENS = (
    *(name for name, option in _OPTIONS.items() if option.kind in ("tokens", "biases")),
    "forced_first_token",
)


def with_options(name: str, own: type[Fields], doc: str) -> type[Fields]:
    """The model of a request: its own fields, and one for each option. null, as in OpenAI's API, is
    what leaving it out is."""
    made = msgspec.defstruct(
        name,
        [(name, _annotated(name, option), None) for name, option in _OPTIONS.items()],
        bases=(own,),
        namespace={"__doc__": doc},
        kw_only=True,
        forbid_unknown_fields=True,
    )
    return cast("type[Fields]", made)


def _annotated(name: str, option: Option) -> Any:
    default = DEFAULTS.get(name, getattr(_TABLE_DEFAULTS, name))
    schema: dict[str, Any] = {}
    if option.kind in ("int", "float"):
        if option.low != -math.inf:
            schema["minimum"] = option.low
        if option.high != math.inf:
            schema["maximum"] = option.high
    if option.choices:
        schema["enum"] = [*option.choices, None]
    text = f"{option.help} Default: {msgspec.json.encode(default).decode()}."
    meta = msgspec.Meta(description=text, extra_json_schema=schema)
    return Annotated[_TYPES[option.kind] | None, meta]


def sampling_params(request: msgspec.Struct, settings: Settings, n_vocab: int) -> SamplingParams:
    """The options of a request. Raises ApiError, which names the field."""
    values = ((name, getattr(request, name)) for name in _OPTIONS)
    given = {name: value for name, value in values if value is not None}
    places: dict[str, str] = {}  # the field that an option's value stands in, where it is another
    if constraint := constraint_of(request):
        place, option, value = constraint
        given[option], places[option] = value, place
    if given.get("top_k") == -1:  # as vLLM writes "all"
        given["top_k"] = 0
    params = dict(DEFAULTS)
    for name, value in given.items():
        place = places.get(name, name)
        try:
            params[name] = _OPTIONS[name].check(place, value, _OPTIONS[name])
        except (TypeError, ValueError) as error:
            raise invalid(str(error), place) from None
    n_tokens, limit = params["max_tokens"], settings.max_tokens
    if n_tokens > limit:
        raise invalid(f"max_tokens is {n_tokens}; this server gives {limit} at most", "max_tokens")
    if len(params.get("stop", ())) > settings.max_stops:
        raise invalid(
            f"stop has {len(params['stop'])} texts; give {settings.max_stops} at most", "stop"
        )
    for name in _WITH_TOKENS:
        if name in params:
            _check_tokens(name, params[name], n_vocab)
    return SamplingParams(**params)


def _check_tokens(name: str, value: Any, n_vocab: int) -> None:
    """So early: the engine would find it after a stream has begun."""
    tokens = [value] if isinstance(value, int) else value or ()
    for token in tokens:
        if token >= n_vocab:
            raise invalid(f"{name} has the token {token}; ids are 0 to {n_vocab - 1}", name)
