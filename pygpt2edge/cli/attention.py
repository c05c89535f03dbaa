"""`pygpt2edge attention`: the attention weights of a text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli.options import Run, int_option, read_prompt, run_options
from pygpt2edge.cli.output import megabytes, note, plural, print_json, print_table

if TYPE_CHECKING:
    from pygpt2edge.inspect.attention_map import AttentionMap

_N_SHOWN = 4  # of the tokens that one looks at


@click.command("attention")
@click.argument("text", required=False)
@run_options(
    int_option("--layer", low=0, default=None,
               help="Show one layer, from 0 on.  [default: the mean of all]"),
    int_option("--head", low=0, default=None,
               help="Show one head, from 0 on.  [default: the mean of all]"),
    click.option("-o", "--output", metavar="FILE", type=click.Path(),
                 help="Write an interactive page (.html) or a picture (.png; needs "
                 "pygpt2edge[plot])."),
)  # fmt: skip
def command(
    run: Run, text: str | None, layer: int | None, head: int | None, output: str | None
) -> None:
    """Show the attention weights of TEXT.

    Prints, for each token, those it looks at most and with what weight; all its weights add up to
    1. "-" reads the text from stdin, as does no TEXT at all; a newline at its end is dropped. With
    -o the weights are drawn instead. A page has selectors for the layer and the head that were not
    chosen.

    \b
    Examples:
      pygpt2edge attention "The cat sat on the mat because it was tired"
      pygpt2edge attention -m gpt2-q8_0.gguf --layer 4 --head 11 -o map.png "Alice met Bob. Alice"
      pygpt2edge attention -m openai-community/gpt2 -o map.html - < letter.txt
    """
    out = None if output is None else _drawable(Path(output))
    if text in (None, "-"):
        text = read_prompt("-")
    assert text is not None

    from pygpt2edge.inspect.attention_map import attention_map, write

    shown = attention_map(run.load(), text, layer, head)
    if out is not None:
        n_bytes = write(shown, out)
        size = f"{plural(len(shown.tokens), 'token')}, {megabytes(n_bytes)}"
        note(f"{out}: {shown.title}, {size}", run.quiet)
    if run.as_json:
        print_json(_as_json(shown, layer, head))
    elif out is None:
        _print(shown)


def _drawable(out: Path) -> Path:
    """The file, after the checks that need not wait for the model."""
    from pygpt2edge.inspect.attention_map import SUFFIXES, check_can_write

    if out.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"-o {out}: expected a name that ends in {' or '.join(SUFFIXES)}")
    check_can_write(out)
    return out


def _as_json(shown: AttentionMap, layer: int | None, head: int | None) -> dict[str, Any]:
    """Row i of the weights is of token i, for tokens 0 to i. No layer, no head: the mean of all."""
    rows = [row[: i + 1] for i, row in enumerate(shown.mean().tolist())]
    return {
        "model": shown.model,
        "layer": layer,
        "head": head,
        "tokens": shown.tokens,
        "pieces": shown.pieces,
        "weights": [[round(weight, 6) for weight in row] for row in rows],
    }


def _print(shown: AttentionMap) -> None:
    rows = [("", "token", f"looks at ({shown.title})")]
    for i, row in enumerate(shown.mean()):
        most = sorted(range(i + 1), key=lambda j: -row[j])[:_N_SHOWN]
        looks = (f"{row[j]:.2f} {shown.pieces[j]!r}" for j in most)
        rows.append((str(i), repr(shown.pieces[i]), "  ".join(looks)))
    print_table(rows, "><<")
