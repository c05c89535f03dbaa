"""`pygpt2edge rank`: candidate continuations of a prompt by log-probability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from pygpt2edge.cli.options import Run, allow_special_option, lines_of, run_options
from pygpt2edge.cli.output import print_json, print_table

if TYPE_CHECKING:
    from pygpt2edge.inspect.rank import Ranked


@click.command("rank")
@click.argument("prompt")
@click.argument("candidates", metavar="[CANDIDATE]...", nargs=-1)
@run_options(
    click.option("-f", "--file", "file", metavar="FILE", type=click.Path(),
                 help="Read candidates from a file, one a line; empty lines are none."),
    allow_special_option,
)  # fmt: skip
def command(
    run: Run, prompt: str, candidates: tuple[str, ...], file: str | None, allow_special: bool
) -> None:
    """Rank candidate continuations of PROMPT by log-probability.

    Prints the candidates, the most probable first, with the natural logarithm of their probability,
    of all tokens together and in the mean. "-" as FILE reads candidates from stdin, as does no
    CANDIDATE at all. Spaces count: after "It is", most likely comes " a", not "a".

    \b
    Examples:
      pygpt2edge rank "The cat sat on the" " mat" " hat" " throne"
      pygpt2edge rank "It was a dark and" --file words.txt -m gpt2-q8_0.gguf --json
      printf ' king\\n queen\\n' | pygpt2edge rank "God save the"
    """
    if candidates and file is not None:
        raise click.UsageError("give candidates as arguments or in a --file")
    texts = candidates or [line for line in lines_of(file) if line]
    if not texts:
        raise click.UsageError("give a CANDIDATE or more")
    ranked = run.load().rank(prompt, texts, allow_special=allow_special)
    if run.as_json:
        print_json({"prompt": prompt, "candidates": [_as_json(found) for found in ranked]})
    else:
        _print(ranked)


def _as_json(found: Ranked) -> dict[str, object]:
    return {
        "text": found.text,
        "index": found.index,
        "logprob": found.logprob,
        "logprob_per_token": found.logprob_per_token,
        "tokens": found.tokens,
        "logprobs": found.logprobs,
    }


def _print(ranked: Sequence[Ranked]) -> None:
    rows = [("logprob", "per token", "candidate")]
    for found in ranked:
        per_token = f"{found.logprob_per_token:.3f}"
        rows.append((f"{found.logprob:.3f}", per_token, repr(found.text)))
    print_table(rows, ">><")
