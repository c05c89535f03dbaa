"""`pygpt2edge calibrate`: what goes into a model's matrices, for a closer conversion."""

from __future__ import annotations

import click

from pygpt2edge.cli.options import Run, int_option, read_text, run_options
from pygpt2edge.cli.output import note, print_json, progress_bar


@click.command("calibrate")
@click.argument("file", metavar="FILE", type=click.Path())
@run_options(
    click.option("-o", "--out", metavar="STATS", type=click.Path(), required=True,
                 help="The file to write; `convert --calibration` takes it."),
    int_option("--max-tokens", "--tokens", "max_tokens", low=1, default=32768,
               help="How much of the text to read.  [default: 32768]"),
    click.option("--no-products", is_flag=True,
                 help="Only sums and squares: a small file, for weighted scales without error "
                 "feedback."),
    int_option("--sensitivities", "sensitivities", low=0, default=0,
               help="Also measure, by so many further tokens, what each type costs each tensor; "
               "`convert --bits` and `--size` go by it. 4096 will do."),
)  # fmt: skip
def command(
    run: Run, file: str, out: str, max_tokens: int, no_products: bool, sensitivities: int
) -> None:
    """Measure the inputs of a model's matrices over a text.

    The model is an f32 or f16 file or a checkpoint with --type f32. `convert --calibration` rounds
    its weights by it, so that the outputs change little. The text should be of the kind that the
    model will see, and not the one that judges it. A layer at a time is in memory. Interrupted, the
    same command goes on from the last layer that it finished, by a folder STATS.unfinished.

    \b
    Examples:
      pygpt2edge calibrate -m models/124M --type f32 wiki.txt -o gpt2-stats.gguf
      pygpt2edge convert models/124M gpt2-q4_0.gguf --type q4_0 --calibration gpt2-stats.gguf
    """
    from pygpt2edge.inspect.calibrating import calibrate

    text = read_text(file)
    path = run.source.path()
    with progress_bar("Reading") as progress:
        n_tokens = calibrate(
            path,
            text,
            out,
            max_tokens=max_tokens,
            products=not no_products,
            sensitivity_tokens=sensitivities,
            n_threads=run.runtime.n_threads,
            n_ctx=run.runtime.n_ctx,
            progress=progress,
            say=lambda line: note(line, run.quiet),
        )
    if run.as_json:
        print_json({"tokens": n_tokens, "out": out})
    note(f"{out}: of {n_tokens:,} tokens", run.quiet)
