"""`pygpt2edge tokenize`: text to tokens and back."""

from __future__ import annotations

import re
import sys

import click

from pygpt2edge.cli.options import (
    ModelSource,
    allow_special_option,
    json_option,
    model_options,
    read_text,
)
from pygpt2edge.cli.output import print_json


@click.command("tokenize")
@click.argument("text", required=False)
@model_options
@click.option("-f", "--file", "file", metavar="FILE", type=click.Path(),
              help="Read the text from a file, to its last byte.")  # fmt: skip
@click.option("--ids", "shown", flag_value="ids", help="Print the ids alone, on one line.")
@click.option("--pieces", "shown", flag_value="pieces", help="Print the pieces alone, a line each.")
@click.option("--count", "shown", flag_value="count", help="Print how many tokens there are.")
@click.option("--decode", is_flag=True, help="The other way: TEXT is ids, print their text.")
@allow_special_option
@json_option
def command(
    source: ModelSource,
    text: str | None,
    file: str | None,
    shown: str | None,
    decode: bool,
    allow_special: bool,
    as_json: bool,
) -> None:
    """Show the tokens of TEXT.

    Prints an id and a piece of text a line. "-" reads the text from stdin, as does no TEXT at all;
    a newline at its end counts. A piece that is not whole characters is shown as bytes.

    \b
    Examples:
      pygpt2edge tokenize "Hello, world"
      pygpt2edge tokenize --count -f novel.txt
      pygpt2edge tokenize "Hello, world" --ids | pygpt2edge tokenize --decode
    """
    from pygpt2edge.loaded_model import tokenizer_of

    if text is not None and file is not None:
        raise click.UsageError("give one of TEXT and --file")
    if decode and shown:
        raise click.UsageError(f"--decode prints text; it does not go with --{shown}")
    if file is not None or text in (None, "-"):
        text = read_text(file or "-")
    assert text is not None
    tokenizer = tokenizer_of(source.path())
    tokens = _ids(text) if decode else tokenizer.encode(text, allow_special=allow_special)
    if decode:
        text = tokenizer.decode(tokens)
    pieces = [tokenizer.token_bytes(token) for token in tokens]
    if as_json:
        shown_pieces = [piece.decode("utf-8", "replace") for piece in pieces]
        print_json({"text": text, "tokens": tokens, "pieces": shown_pieces, "count": len(tokens)})
    elif decode:
        sys.stdout.write(text)
        # Exactly the text for a program, but a line of its own on a terminal.
        if sys.stdout.isatty() and not text.endswith("\n"):
            sys.stdout.write("\n")
    else:
        _print_tokens(tokens, pieces, shown)


def _print_tokens(tokens: list[int], pieces: list[bytes], shown: str | None) -> None:
    if shown == "count":
        click.echo(str(len(tokens)))
    elif shown == "ids":
        click.echo(" ".join(map(str, tokens)))
    else:
        for token, piece in zip(tokens, pieces, strict=True):
            sys.stdout.write(f"{'' if shown else f'{token:>6}  '}{_quoted(piece)}\n")


def _quoted(piece: bytes) -> str:
    try:
        return repr(piece.decode())
    except UnicodeDecodeError:
        return repr(piece)


def _ids(text: str) -> list[int]:
    """Ids with spaces, commas or brackets between them: --ids and JSON lists both read."""
    words = re.split(r"[\s,\[\]]+", text)
    if wrong := [word for word in words if word and not re.fullmatch(r"[0-9]+", word)]:
        raise click.UsageError(f"--decode: {wrong[0]!r:.60} is no token id")
    return [int(word) for word in words if word]
