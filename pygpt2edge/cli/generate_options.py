"""The options of `pygpt2edge generate`: those of a text, made from the table in options.py, and the
command's own."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, cast

import click

from pygpt2edge.cli.options import (
    Decorator,
    float_option,
    group,
    int_option,
    number,
    read_text,
)
from pygpt2edge.options import GREATEST, Option, SamplingParams, option_of

NO_LIMIT = -1  # on the command line, where Python has None


def _logit_bias(text: str) -> tuple[int, float]:
    # 198=-inf, and as llama.cpp has it, 198-inf or 198+1.5
    match = re.fullmatch(r"(\d{1,9})(?:=|(?=[+-]))(\S+)", text)
    try:
        token, bias = int(match[1]), float(match[2])  # type: ignore[index]
    except (TypeError, ValueError):
        token, bias = 0, math.nan
    if not bias <= GREATEST:
        raise click.BadParameter(
            f"{text!r} is not of the form ID=VALUE, such as 198=-1.5 or 198=-inf"
        )
    return token, bias


def _token(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise click.BadParameter(f"{text!r} is no token id")
    return int(text)


def _option(each: Field[Any], option: Option) -> Decorator:
    """The command line's form of a row of the table."""
    names, default = (*option.flags, each.name), cast(Any, each.default)
    if option.kind == "int":
        low, help = int(option.low), option.help
        if option.none is not None:  # -1, as llama.cpp has it
            low, help = NO_LIMIT, f"{help} -1: {option.none}."
            default = NO_LIMIT if default is None else default
        high = int(min(option.high, 2**64 - 1))
        return int_option(*names, low=low, high=high, default=default, help=help)
    if option.kind == "float" and default is None:
        return click.option(*names, metavar="X", type=number(float, option.low, option.high),
                            help=option.help)  # fmt: skip
    if option.kind == "float":
        return float_option(*names, low=option.low, high=option.high, default=default,
                            help=option.help)  # fmt: skip
    if option.kind == "flag" and default is not False:  # it is on, or the prompt decides
        both = (f"{flag}/--no-{flag.removeprefix('--')}" for flag in option.flags)
        return click.option(*both, each.name, default=default, help=option.help)
    if option.kind == "flag":
        return click.option(*names, is_flag=True, help=option.help)
    if option.kind == "choice":
        return click.option(*names, type=click.Choice(option.choices), default=default,
                            show_default=True, help=option.help)  # fmt: skip
    if option.kind == "model":
        return click.option(*names, metavar="MODEL", help=option.help)
    metavar, type_ = {
        "source": ("TEXT", str), "schema": ("JSON", str),
        "biases": ("ID=VALUE", _logit_bias), "tokens": ("ID", _token), "texts": ("TEXT", str),
    }[option.kind]  # fmt: skip
    if option.kind in ("source", "schema"):
        return click.option(*names, metavar=metavar, type=type_, help=option.help)
    help = f"{option.help} Repeatable."
    return click.option(*names, metavar=metavar, type=type_, multiple=True, help=help)


def text_options(*kinds: str) -> Decorator:
    """The options of the table that belong to some of its groups, in its order."""
    rows = ((each, option_of(each)) for each in fields(SamplingParams))
    return group(
        *(_option(each, option) for each, option in rows if option.flags and option.group in kinds)
    )


def text_params(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of SamplingParams, of what the command line has, checked. A draft model is still a
    name."""
    params: dict[str, Any] = {}
    for each in fields(SamplingParams):
        if each.name not in given:
            continue
        option, value = option_of(each), given[each.name]
        if option.kind == "int" and option.none is not None and value == NO_LIMIT:
            value = None
        elif option.kind == "biases":
            value = dict(value)
        elif option.kind == "texts" and not value and each.default is not MISSING:
            value = each.default
        elif option.kind == "texts":
            value = [_unescaped(text) for text in value]
        params[each.name] = value
    try:
        SamplingParams(**params | {"draft_model": None})
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return params


def _unescaped(text: str) -> str:
    """Few shells make it easy to type a newline, so backslash n stands for one, and so on."""
    meanings = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}
    return re.sub(r"\\[nt\\]", lambda match: meanings[match[0]], text)


def refuse_others(
    ctx: click.Context, allowed: Collection[str], does_not_go_with: str, why: str
) -> None:
    """Raises UsageError for what the command line has and is not allowed beside an option."""
    for name in ctx.params:
        given = ctx.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        if given and name not in allowed:
            option = "--" + name.replace("_", "-")
            raise click.UsageError(f"{option} does not go with {does_not_go_with}: {why}")


# Options that give another one from a file.
_FILES = {"json_schema_file": "json_schema", "grammar_file": "grammar"}
constraint_files = group(
    click.option(
        "-jf", "--json-schema-file", metavar="FILE", type=click.Path(),
        help="Read --json-schema from a file.",
    ),
    click.option(
        "--grammar-file", metavar="FILE", type=click.Path(),
        help="Read --grammar from a file.",
    ),
)  # fmt: skip


def read_constraint_files(given: dict[str, Any]) -> None:
    """Replaces their names in what the command line has by what they hold."""
    for from_file, name in _FILES.items():
        path = given.pop(from_file)
        if path is None:
            continue
        if given[name] is not None:
            option = name.replace("_", "-")
            raise click.UsageError(f"give one of --{option} and --{option}-file")
        given[name] = read_text(path)


several_options = group(
    int_option(
        "--n", "n", low=1, default=1,
        help="The number of texts, with the seeds from --seed on, or the N best of a beam "
        "search.",
    ),
    int_option(
        "--num-beams", low=1, default=1,
        help="Above 1, search for the most probable text, keeping this many hypotheses.",
    ),
)  # fmt: skip
saving_options = group(
    click.option(
        "--endless", is_flag=True,
        help="Generate until Ctrl-C or end-of-text: --context-overflow slide, and -n -1 "
        "where -n is not given.",
    ),
    click.option(
        "--save", metavar="FILE", type=click.Path(dir_okay=False),
        help="Save the text at its end, or at Ctrl-C, so that --resume continues exactly there.",
    ),
    click.option(
        "--resume", metavar="FILE", type=click.Path(dir_okay=False),
        help="Continue a saved text, with its own options.",
    ),
)  # fmt: skip
