"""`pygpt2edge embed`: texts as vectors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pygpt2edge.cli.options import (
    Run,
    allow_special_option,
    lines_option,
    number,
    run_options,
    texts_of,
    truncate_option,
)
from pygpt2edge.cli.output import note, plural, print_json, progress_bar, refuse_existing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pygpt2edge.states.embedding import Pooling

_AT_ONCE = 64  # texts between two lines of progress
vector_options = (
    click.option(
        "--pooling", type=click.Choice(("mean", "last", "weighted")), default="mean",
        show_default=True,
        help="Of the tokens' states: their mean, the last one, or the mean weighted by position.",
    ),
    click.option(
        "--layer", metavar="N", type=number(int, -10000, 10000), default=-1, show_default=True,
        help="Which hidden states: 0 the embedding, -1 the last.",
    ),
)  # fmt: skip


@click.command("embed")
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@run_options(
    lines_option,
    click.option("-o", "--out", metavar="OUT", type=click.Path(),
                 help="Write to a file: .jsonl, or .npy for an array (texts, width)."),
    click.option("--force", is_flag=True, help="Replace OUT if it exists."),
    *vector_options,
    click.option("--no-normalize", is_flag=True, help="Leave the vectors as long as they are."),
    truncate_option,
    allow_special_option,
)  # fmt: skip
def command(
    run: Run, texts: tuple[str, ...], file: str | None, out: str | None, force: bool,
    pooling: Pooling, layer: int, no_normalize: bool, truncate: bool, allow_special: bool,
) -> None:  # fmt: skip
    """Make vectors of texts, for search and clustering.

    Prints a JSON object for each text, on a line: "index", "text" and "embedding". The texts are
    the arguments, or the lines of a --file; stdin's where there are neither. An empty line is an
    empty text.

    \b
    Examples:
      pygpt2edge embed "A cat sat on the mat." "The weather is fine."
      pygpt2edge embed --file sentences.txt -o sentences.npy --pooling weighted
      printf 'one\\ntwo\\n' | pygpt2edge embed --layer 4 --no-normalize
    """
    several = texts_of(texts, file)
    if out is not None:
        _check_out(out, force=force)
    model = run.load()

    def vectors() -> Iterator[NDArray[np.float32]]:
        with progress_bar("Embedding") as progress:
            for first in range(0, len(several), _AT_ONCE):
                part = several[first : first + _AT_ONCE]
                yield from model.embed(
                    part, layer, pooling, not no_normalize,
                    truncate=truncate, allow_special=allow_special,
                )  # fmt: skip
                if progress is not None:
                    progress(first + len(part), len(several), "")

    if out is not None:
        _write(Path(out), several, vectors())
        note(f"{out}: {plural(len(several), 'vector')} of {model.config['n_embd']}", run.quiet)
    elif run.as_json:
        print_json({"texts": several, "embeddings": [vector.tolist() for vector in vectors()]})
    else:
        for line in _lines(several, vectors()):
            click.echo(line)


def _check_out(out: str, *, force: bool) -> None:
    from pygpt2edge.output_file import check_target

    if Path(out).suffix not in (".jsonl", ".npy"):
        raise click.UsageError(f"{out}: expected a name in .jsonl or .npy")
    refuse_existing(out, force=force)
    check_target(Path(out), 0)


def _lines(texts: Sequence[str], vectors: Iterator[NDArray[np.float32]]) -> Iterator[str]:
    for index, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        yield json.dumps({"index": index, "text": text, "embedding": vector.tolist()})


def _write(out: Path, texts: Sequence[str], vectors: Iterator[NDArray[np.float32]]) -> None:
    import numpy as np

    from pygpt2edge.output_file import replaced_when_whole

    with replaced_when_whole(out, 0) as temporary:
        if out.suffix == ".npy":
            with temporary.open("wb") as file:
                np.save(file, np.stack(list(vectors)))
            return
        with temporary.open("w", encoding="utf-8", newline="\n") as lines:
            for line in _lines(texts, vectors):
                lines.write(line + "\n")
