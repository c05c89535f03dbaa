"""KL divergence and perplexity of each type and method, as a Markdown table and a picture.

    python tools/bench_quantization.py CHECKPOINT CALIBRATION.txt JUDGE.txt

For each type: ggml's own rounding where there is one, searched scales, and with the calibration
weighted scales alone, bias compensation alone (with searched scales), error feedback alone, and all
together. All files are evaluated in one pass, so that they have to fit in memory together.
tools/judge_quantization.py compares mixtures with the files of another quantizer.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np

from pygpt2edge import GPT2
from pygpt2edge.convert import convert
from pygpt2edge.inspect.calibrating import calibrate
from pygpt2edge.inspect.divergence_plot import plot_divergences
from pygpt2edge.inspect.evaluate import evaluate_several

TYPES = ("q8_0", "q6_k", "q5_k", "q4_k", "iq4_nl", "q4_0", "q3_k")
WITH_REFERENCE = ("q8_0", "q4_0")
# What of a calibration's tensors each method needs; each file has the sums of squares.
METHODS = {
    "weighted scales": (),
    "bias compensation": ("in_sum",),
    "error feedback": ("in_products",),
    "all": ("in_sum", "in_products"),
}


def with_parts(stats: Path, out: Path, parts: tuple[str, ...], flat: bool) -> None:
    """A calibration with some of its parts; `flat`: all inputs weigh the same."""
    writer = gguf.GGUFWriter(out, "imatrix")
    writer.add_type("imatrix")
    for tensor in gguf.GGUFReader(stats).tensors:
        kind = tensor.name.rsplit(".", 1)[1]
        if kind in ("in_sum2", "counts", *parts):
            data = np.array(tensor.data)
            is_squares = flat and kind == "in_sum2"
            writer.add_tensor(tensor.name, np.full_like(data, data.mean()) if is_squares else data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def files_of_types(
    exact: Path, stats: Path, folder: Path, types: list[str]
) -> Iterator[tuple[str, Path]]:
    for kind in types:
        if kind in WITH_REFERENCE:
            out = folder / f"{kind}-reference.gguf"
            yield f"{kind}, ggml's rounding", convert(exact, out, kind, rounding="reference").out
        yield kind, convert(exact, folder / f"{kind}.gguf", kind).out
        for method, parts in METHODS.items():
            some = folder / "some.gguf"
            with_parts(stats, some, parts, flat=method == "bias compensation")
            out = folder / f"{kind}-{method.replace(' ', '-')}.gguf"
            yield f"{kind}, {method}", convert(exact, out, kind, calibration=some).out
            some.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("judge", type=Path)
    parser.add_argument("--types", nargs="*", default=TYPES)
    parser.add_argument("--tokens", type=int, default=32768, help="to calibrate with")
    parser.add_argument("--stats", type=Path, help="a file of `calibrate` to take instead")
    parser.add_argument("--windows", type=int, help="of the judging text; default all")
    parser.add_argument("--plot", type=Path, help="a picture to write")
    options = parser.parse_args()
    text = options.judge.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exact = convert(options.checkpoint, folder / "f32.gguf", "f32").out
        reference, stats = GPT2(exact), options.stats
        if stats is None:
            stats = folder / "stats.gguf"
            calibration = options.calibration.read_text(encoding="utf-8")
            calibrate(exact, calibration, stats, max_tokens=options.tokens)
        named = list(files_of_types(exact, stats, folder, options.types))
        print(f"{len(named)} files are written", file=sys.stderr)
        models = [GPT2(path) for _, path in named]
        found = evaluate_several(models, text, reference=reference, max_windows=options.windows)
        print("| file | MB | KL mean | KL p99 | perplexity |\n|---|---|---|---|---|")
        for (label, path), each in zip(named, found, strict=True):
            size = path.stat().st_size / 1e6
            print(f"| {label} | {size:.2f} | {each.kl_mean:.6f} | {each.kl_p99:.4f} | "
                  f"{each.perplexity:.2f} |")  # fmt: skip
        if options.plot is not None:
            plot_divergences([path for _, path in named], found, options.plot)


if __name__ == "__main__":
    main()
