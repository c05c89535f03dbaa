"""`pygpt2edge suggest`: the most probable next words."""

from __future__ import annotations

from dataclasses import asdict

import click

from pygpt2edge.cli.options import Run, int_option, read_prompt, run_options
from pygpt2edge.cli.output import note, print_json, print_table


@click.command("suggest")
@click.argument("text")
@run_options(
    int_option("-k", "k", low=1, default=5, help="How many words; a search finds some 24 at most.")
)
def command(run: Run, text: str, k: int) -> None:
    """Suggest the most probable next words, as for a keyboard.

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
    suggestions = run.load().suggest(text, k)
    if run.as_json:
        print_json({"text": text, "suggestions": [asdict(found) for found in suggestions]})
    elif suggestions:
        print_table([(found.word, f"{found.probability:.1%}") for found in suggestions], "<>")
    else:
        note("No word is known to begin so.", run.quiet)
