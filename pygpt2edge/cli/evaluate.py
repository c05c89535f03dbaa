"""`pygpt2edge eval`: perplexity, and the divergence from a reference model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli.options import ModelSource, Run, int_option, read_text, run_options
from pygpt2edge.cli.output import megabytes, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from pygpt2edge.inspect.scores import Evaluation
    from pygpt2edge.loaded_model import LoadedModel


@click.command("eval")
@click.argument("file", metavar="FILE", type=click.Path())
@run_options(
    click.option("--reference", metavar="MODEL",
                 help="Compare with this model, such as the f32 file; a hub name means its f32."),
    int_option("--stride", "--ppl-stride", "stride", low=1, default=None,
               help="Tokens from the start of one window to the next. With less than the context, "
               "windows overlap, as those of a sliding text.  [default: the context]"),
    click.option("--protocol", type=click.Choice(("documents", "llama.cpp")), default="documents",
                 show_default=True,
                 help="How the text is cut; llama.cpp: as its perplexity tool does."),
    click.option("--also", metavar="MODEL", multiple=True,
                 help="Another model to evaluate; may be given several times."),
    click.option("--plot", metavar="PICTURE", type=click.Path(),
                 help="Draw each file's KL divergence against its bits per weight; PNG, SVG or PDF "
                 "(needs the extra `plot`)."),
)  # fmt: skip
def command(
    run: Run, file: str, reference: str | None, stride: int | None, protocol: str,
    also: tuple[str, ...], plot: str | None,
) -> None:  # fmt: skip
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
    from pygpt2edge.inspect.evaluate import evaluate_several

    if plot is not None and reference is None:
        raise click.UsageError("--plot draws the divergence from a model: give it by --reference")
    text = read_text(file)
    models = [run.load(), *(ModelSource(name).load(run.runtime) for name in also)]
    other = None
    if reference is not None:
        is_name = not ModelSource(reference).is_local
        other = ModelSource(reference, "f32" if is_name else None).load(run.runtime)
    with progress_bar("Scoring") as progress:
        results = evaluate_several(
            models, text, reference=other, stride=stride, protocol=protocol, progress=progress
        )
    if plot is not None:
        from pygpt2edge.inspect.divergence_plot import plot_divergences

        plot_divergences([model.path for model in models], results, plot)
    if run.as_json:
        first, *rest = (_as_json(result) for result in results)
        names = [str(model.path) for model in models[1:]]
        others = [{"model": name, **each} for name, each in zip(names, rest, strict=True)]
        print_json(first | ({"also": others} if others else {}))
    elif len(results) > 1:
        _print_several(models, results)
    else:
        _print(results[0])


def _as_json(result: Evaluation) -> dict[str, Any]:
    return {key: value for key, value in asdict(result).items() if value is not None}


def _print_several(models: Sequence[LoadedModel], results: list[Evaluation]) -> None:
    rows: list[tuple[str, ...]] = [
        ("file", "size", "perplexity", "KL mean", "KL p99", "KL max", "same top 1")
    ]
    for model, result in zip(models, results, strict=True):
        found: list[str] = ["", "", "", ""]
        if result.kl_mean is not None:
            found = [f"{result.kl_mean:.6f}", f"{result.kl_p99:.4f}", f"{result.kl_max:.3f}",
                     f"{result.top1_agreement:.2%}"]  # fmt: skip
        size = megabytes(model.path.stat().st_size)
        rows.append((model.path.name, size, f"{result.perplexity:.3f}", *found))
    print_table(rows, "<>>>>>>")


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
            ("KL max", f"{result.kl_max:.6f}"),
            ("same top 1", f"{result.top1_agreement:.2%}"),
        ]
    for each in result.by_position:
        kl = "" if each.kl_mean is None else f", KL {each.kl_mean:.6f}"
        rows.append((f"after {each.first}-{each.last}", f"nll {each.nll:.4f}{kl}"))
    print_table(rows, "<<")
