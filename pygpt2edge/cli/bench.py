"""`pygpt2edge bench`: tokens a second."""

from __future__ import annotations

import re
import statistics
from typing import TYPE_CHECKING, Any

import click

from pygpt2edge.cli.options import Run, int_option, run_options
from pygpt2edge.cli.output import memory_line, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from pygpt2edge.inspect.benchmark import Benchmark
    from pygpt2edge.model import GPT2


def _lengths(text: str) -> list[int]:
    """128,512 -> [128, 512]; zeros are left out."""
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,9}", part) for part in parts):
        raise click.BadParameter(f"{text!r} is not a list of numbers such as 128,512")
    return [n for n in dict.fromkeys(map(int, parts)) if n > 0]


@click.command("bench")
@run_options(
    click.option("-p", "--prefill", "--n-prompt", metavar="N,...", type=_lengths,
                 default="128,512", show_default=True,
                 help="Lengths of prompts for prefill; 0 for none."),
    click.option("-n", "--decode", "--n-gen", metavar="N,...", type=_lengths, default="128",
                 show_default=True, help="Numbers of tokens to decode; 0 for none."),
    int_option("-r", "--repeat", "--repetitions", low=1, default=3,
               help="Timed runs of each; the median is reported."),
)  # fmt: skip
def command(run: Run, prefill: list[int], decode: list[int], repeat: int) -> None:
    """Measure the tokens a second of a model.

    Prefill is reading a prompt: so many fresh random tokens into an empty context, with the logits
    of the last. Decode is writing: so many greedy tokens after a prompt of 16. Each is run once to
    warm up, and then timed. The JSON object has the medians, in tokens a second, and is the last
    line.

    \b
    Examples:
      pygpt2edge bench -m gpt2-q8_0.gguf
      pygpt2edge bench -m gpt2-xl.gguf -p 128,512 -n 128 -t 2 --repeat 5 --json
    """
    from pygpt2edge.inspect.benchmark import benchmark

    model = run.load()
    with progress_bar("Timing") as progress:
        result = benchmark(model, prefill, decode, repeat=repeat, progress=progress)
    if run.as_json:
        print_json(_as_json(model, result))
    else:
        _print(model, result)


def _as_json(model: GPT2, result: Benchmark) -> dict[str, Any]:
    from pygpt2edge import _core
    from pygpt2edge.inspect.benchmark import medians

    return {
        "prefill": medians(result.prefill),
        "decode": medians(result.decode),
        "load_s": result.load_s,
        "peak_rss_mb": result.peak_rss_mb,
        "runs": {
            "prefill": {str(n): speeds for n, speeds in result.prefill.items()},
            "decode": {str(n): speeds for n, speeds in result.decode.items()},
        },
        "model": str(model.path),
        "file_bytes": model.path.stat().st_size,
        "memory": model.memory,
        "n_threads": model.n_threads,
        "kv_type": model.kv_type,
        "isa": model.isa,
        "cpu": _core.cpu()["name"],
    }


def _print(model: GPT2, result: Benchmark) -> None:
    rows: list[tuple[str, ...]] = [("", "tokens", "tok/s", "slowest", "fastest")]
    for what, by_length in (("prefill", result.prefill), ("decode", result.decode)):
        for n, speeds in by_length.items():
            figures = (statistics.median(speeds), min(speeds), max(speeds))
            rows.append((what, str(n), *(f"{figure:,.1f}" for figure in figures)))
    print_table(rows, "<>>>>")
    click.echo(
        f"\n{model.path.name}, {model.n_threads} threads, {model.isa}\n"
        f"load {result.load_s:.2f} s, memory {memory_line(model.memory)}"
        + (f", peak of the process {result.peak_rss_mb:,.1f} MB" if result.peak_rss_mb else "")
    )
