"""`pygpt2edge convert`: a checkpoint in, a GGUF file out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pygpt2edge.cli.options import MAX_THREADS, TYPES, number
from pygpt2edge.cli.output import megabytes, note, progress_bar, refuse_existing, warn

if TYPE_CHECKING:
    from pygpt2edge.convert import ConvertReport


@click.command("convert")
@click.argument("source", metavar="SRC")
@click.argument("out", metavar="OUT", type=click.Path())
@click.option(
    "--type",
    "type_",
    type=click.Choice(TYPES, case_sensitive=False),
    help="Type of the matrices; norms, biases and positions stay f32.  [default: q8_0]",
)
@click.option(
    "--bits",
    metavar="N",
    type=number(float, 0.1, 32),
    help="Instead of a type: a mixture of at most so many bits a weight.",
)
@click.option("--size", metavar="SIZE",
              help="The same by the size of the file: bytes, or with kB, MB, GB.")  # fmt: skip
@click.option("--embedding-type", type=click.Choice(TYPES, case_sensitive=False),
              help="Type of the embedding and the head.  [default: that of --type]")  # fmt: skip
@click.option("--allow-requantize", is_flag=True,
              help="Convert a GGUF that is quantized already; both errors add up.")  # fmt: skip
@click.option("--rounding", type=click.Choice(("search", "reference")), default="search",
              show_default=True,
              help="Scales of the least error, or ggml's for q8_0, q4_0.")  # fmt: skip
@click.option("--calibration", metavar="STATS", type=click.Path(),
              help="Statistics of `calibrate` or llama.cpp's imatrix to round by.")  # fmt: skip
@click.option("--no-error-feedback", is_flag=True,
              help="With --calibration: no column makes up for the errors of others.")  # fmt: skip
@click.option("--no-bias-compensation", is_flag=True,
              help="With --calibration: biases stay as they are.")  # fmt: skip
@click.option("--equalize", is_flag=True,
              help="Even out channels between matrices, for models with outliers.")  # fmt: skip
@click.option("--lora", metavar="FOLDER[:SCALE]", multiple=True,
              help="Merge a LoRA adapter of PEFT, SCALE times as strong.")  # fmt: skip
@click.option("--no-classifier", is_flag=True,
              help="Leave out the head of a fine-tune that classifies.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@click.option("-t", "--threads", metavar="N", type=number(int, 1, MAX_THREADS),
              help="Threads that quantize.  [default: all CPUs]")  # fmt: skip
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub model.")
@click.option("-q", "--quiet", is_flag=True, help="No report at the end.")
def command(
    source: str,
    out: str,
    type_: str | None,
    bits: float | None,
    size: str | None,
    allow_requantize: bool,
    embedding_type: str | None,
    rounding: str,
    calibration: str | None,
    no_error_feedback: bool,
    no_bias_compensation: bool,
    equalize: bool,
    lora: tuple[str, ...],
    no_classifier: bool,
    force: bool,
    threads: int | None,
    revision: str | None,
    quiet: bool,
) -> None:
    """Make a GGUF file, OUT, of a checkpoint, SRC.

    SRC is a Hugging Face folder (safetensors or pytorch_model.bin) or the weights' file in it, the
    folder that OpenAI's download_model.py makes, nanoGPT's ckpt.pt, a .bin of llm.c, a GGUF file,
    or a hub name such as openai-community/gpt2. OUT carries the tokenizer and appears when it is
    whole: an interrupted run leaves nothing behind.

    \b
    q8_0 takes 8.5 bits a weight and costs next to no quality; q4_0 takes 4.5, half the memory and
    twice the speed, for a few percent of perplexity.

    \b
    Examples:
      pygpt2edge convert openai-community/gpt2-xl gpt2-xl.gguf --type q4_0
      pygpt2edge convert models/124M gpt2.gguf
      pygpt2edge convert gpt2-f32.gguf gpt2-q4_0.gguf --type q4_0
      pygpt2edge convert gpt2-f32.gguf gpt2-100MB.gguf --size 100MB
      pygpt2edge convert models/124M poems.gguf --lora poems-lora --lora rhymes-lora:0.5
    """
    from pygpt2edge.convert import convert

    refuse_existing(out, force=force)
    with progress_bar("Converting") as progress:
        report = convert(
            source,
            out,
            type_,
            bits=bits,
            size=size,
            allow_requantize=allow_requantize,
            embedding_type=embedding_type,
            rounding=rounding,
            calibration=calibration,
            error_feedback=not no_error_feedback,
            bias_compensation=not no_bias_compensation,
            equalize=equalize,
            lora=[_adapter(text) for text in lora],
            classifier=not no_classifier,
            n_threads=threads,
            progress=progress,
            revision=revision,
        )
    for warning in report.warnings:
        warn(warning)
    if report.mixture is not None:
        for line in report.mixture.lines():
            note(line, quiet)
        source = (
            "measured"
            if report.mixture.is_measured
            else "estimated from the demo model; `calibrate --sensitivities` measures this one"
        )
        note(f"expected KL divergence: {report.mixture.cost:.5f} nats a token ({source})", quiet)
    note(_summary(report, out), quiet)


def _summary(report: ConvertReport, out: str) -> str:
    tensors = ", ".join(f"{n} {kind}" for kind, n in sorted(report.type_counts.items()))
    return (
        f"{out}: {report.source_kind} as {report.type}, {report.n_params:,} parameters, "
        f"{megabytes(report.n_bytes)}, {report.bits_per_weight:.2f} bits per weight "
        f"({tensors}), in {report.seconds:.1f} s"
    )


def _adapter(text: str) -> tuple[str, float]:
    """FOLDER or FOLDER:SCALE; a name may have colons of its own, such as a drive's."""
    folder, colon, scale = text.rpartition(":")
    try:
        return (folder, float(scale)) if colon and not Path(text).exists() else (text, 1.0)
    except ValueError:
        return text, 1.0
