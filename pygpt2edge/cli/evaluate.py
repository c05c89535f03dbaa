"""`pygpt2edge eval`: perplexity, and the divergence from a reference model."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pygpt2edge.cli.options import ModelSource, Run, int_option, read_text, run_options
from pygpt2edge.cli.output import print_json, print_table, progress_bar

if TYPE_CHECKING:
    from pygpt2edge.inspect.evaluate import Evaluation


@click.command("eval")
@click.argument("file", metavar="FILE", type=click.Path())
@run_options(
    click.option("--reference", metavar="MODEL",
                 help="Compare with this model, such as the f32 file; a hub name means its f32."),
    int_option("--stride", "--ppl-stride", "stride", low=1, default=None,
               help="Tokens from the start of one window to the next. With less than the context, "
               "windows overlap, as those of a sliding text.  [default: the context]"),
)  # fmt: skip
def command(run: Run, file: str, reference: str | None, stride: int | None) -> None:
    """Measure how well a model predicts a text.

    The text in FILE ("-": stdin) is scored in windows of the context's size (-c), which do not
    overlap unless --stride makes them. Documents within FILE have "<|endoftext|>" between them, and
    each is given that token in front. With a reference it also tells how far the model's
    predictions are from it: the KL divergence in nats, and how often both find the same token most
    likely.

    \b
    Examples:
      pygpt2edge eval -m gpt2-q4_0.gguf wiki.txt
      pygpt2edge eval -m gpt2-q4_0.gguf --reference gpt2-f32.gguf wiki.txt --json
      pygpt2edge eval -m gpt2-q4_0.gguf --stride 512 wiki.txt
    """
    from pygpt2edge.inspect.evaluate import evaluate

    text = read_text(file)
    model = run.load()
    other = None
    if reference is not None:
        is_name = not ModelSource(reference).is_local
        other = ModelSource(reference, "f32" if is_name else None).load(run.runtime)
    with progress_bar("Scoring") as progress:
        result = evaluate(model, text, reference=other, stride=stride, progress=progress)
    if run.as_json:
        print_json({key: value for key, value in asdict(result).items() if value is not None})
    else:
        _print(result)


def _print(result: Evaluation) -> None:
    rows = [
        ("tokens", f"{result.tokens:,}"),
        ("nll", f"{result.nll:.4f} nats a token"),
        ("perplexity", f"{result.perplexity:.3f}"),
    ]
    if result.kl_mean is not None:
        rows += [
            ("KL mean", f"{result.kl_mean:.6f} nats from the reference"),
            ("KL p99", f"{result.kl_p99:.6f}"),
            ("same top 1", f"{result.top1_agreement:.2%}"),
        ]
    print_table(rows, "<<")
