"""`pygpt2edge suggest`: the words that probably come next."""

from __future__ import annotations

from dataclasses import asdict

import click

from pygpt2edge.cli.options import (
    ModelSource,
    Runtime,
    json_option,
    model_options,
    note_on_demo_model,
    number,
    read_prompt,
    runtime_options,
)
from pygpt2edge.cli.output import note, print_json, print_table


@click.command("suggest")
@click.argument("text")
@model_options
@click.option("-k", "k", metavar="N", type=number(int, 1, 2**31 - 1), default=5, show_default=True,
              help="How many words; a search finds some 24 at most.")  # fmt: skip
@runtime_options
@json_option
@click.option("-q", "--quiet", is_flag=True, help="No notes.")
def command(
    source: ModelSource, runtime: Runtime, text: str, k: int, as_json: bool, quiet: bool
) -> None:
    """Suggest the next words of TEXT, as a keyboard does.

    Prints the most probable whole words with their probabilities. A word that TEXT ends in is
    completed; end it with a space for the word after. "-" reads the text from stdin; a newline at
    its end is dropped.

    \b
    Examples:
      pygpt2edge suggest "It is a truth universally acknow"
      pygpt2edge suggest -m gpt2-xl.gguf -k 3 "How is the wea"
      pygpt2edge suggest "Once upon a " --json
    """
    if text == "-":
        text = read_prompt("-")
    note_on_demo_model(source, quiet or as_json)
    suggestions = source.load(runtime).suggest(text, k)
    if as_json:
        print_json({"text": text, "suggestions": [asdict(found) for found in suggestions]})
    elif suggestions:
        print_table([(found.word, f"{found.probability:.1%}") for found in suggestions], "<>")
    else:
        note("No word is known to begin so.", quiet)
