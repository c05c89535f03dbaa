"""`pygpt2edge classify`: the labels that a fine-tune gives texts, or their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli.options import (
    Run,
    allow_special_option,
    int_option,
    lines_option,
    run_options,
    texts_of,
    truncate_option,
)
from pygpt2edge.cli.output import print_json, print_table

if TYPE_CHECKING:
    from pygpt2edge.states.labels import Label, ScoreFunction, TokenLabel
    from pygpt2edge.states.token_labels import Aggregation


@click.command("classify")
@click.argument("texts", metavar="[TEXT]...", nargs=-1)
@run_options(
    lines_option,
    int_option("-k", "--top-k", low=0, default=None,
               help="Labels of a text, the most probable first; 0 for all.  [default: 1]"),
    click.option("--function", type=click.Choice(("softmax", "sigmoid", "none")),
                 help="What makes scores of logits.  [default: what the checkpoint asks for]"),
    click.option("--aggregation", type=click.Choice(("none", "simple")),
                 help='Of labels of tokens: each alone, or neighbours together.  [default: none]'),
    truncate_option,
    allow_special_option,
)  # fmt: skip
def command(
    run: Run, texts: tuple[str, ...], file: str | None, top_k: int | None,
    function: ScoreFunction | None, aggregation: Aggregation | None, truncate: bool,
    allow_special: bool,
) -> None:  # fmt: skip
    """Give texts, or their tokens, the labels of a fine-tune.

    A model of GPT2ForSequenceClassification gives each text its labels; one of
    GPT2ForTokenClassification gives labels to tokens, but for "O", with their places in the text.
    The texts are the arguments, or the lines of a --file; stdin's where there are neither.

    \b
    Examples:
      pygpt2edge classify -m sentiment.gguf "A film to forget."
      pygpt2edge classify -m topics.gguf --file reviews.txt --top-k 3 --json
      pygpt2edge classify -m names.gguf --aggregation simple "Ada met Charles in London."
    """
    from pygpt2edge.states.labels import classifies_tokens

    several = texts_of(texts, file)
    model = run.load()
    how: dict[str, Any] = {"truncate": truncate, "allow_special": allow_special}
    found: Sequence[Sequence[Label | TokenLabel]]
    if classifies_tokens(model):
        if top_k is not None or function is not None:
            raise click.UsageError("--top-k and --function are for texts; this model has tokens")
        found = model.classify_tokens(several, aggregation or "none", **how)
    else:
        if aggregation is not None:
            raise click.UsageError("--aggregation is for tokens; this model classifies texts")
        k = 1 if top_k is None else top_k or None
        found = model.classify(several, k, function, **how)
    if run.as_json:
        print_json(_as_json(several, found))
    else:
        _print(several, found)


def _as_json(texts: Sequence[str], found: Sequence[Sequence[Label | TokenLabel]]) -> dict[str, Any]:
    labels = [[asdict(label) for label in labels] for labels in found]
    return {
        "texts": [
            {"text": text, "labels": its} for text, its in zip(texts, labels, strict=True)
        ]
    }  # fmt: skip


def _print(texts: Sequence[str], found: Sequence[Sequence[Label | TokenLabel]]) -> None:
    rows = [("score", "label", "text")]
    for text, labels in zip(texts, found, strict=True):
        for label in labels:
            part = str(getattr(label, "word", text))
            rows.append((f"{label.score:.4f}", label.label, repr(part)))
    print_table(rows, "><<")
