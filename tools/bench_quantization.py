"""KL divergence and perplexity of each type, without and with a calibration, as a Markdown table.

    python tools/bench_quantization.py CHECKPOINT CALIBRATION.txt JUDGE.txt [FILE.gguf ...]

The files named at the end, such as those of llama.cpp's quantizer, are measured too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from pygpt2edge import GPT2
from pygpt2edge.convert import convert
from pygpt2edge.inspect.calibrating import calibrate
from pygpt2edge.inspect.evaluate import evaluate

TYPES = ("q8_0", "q6_k", "q5_k", "q5_0", "q4_k", "iq4_nl", "q4_0", "iq4_xs", "q3_k")


def measure(path: Path, name: str, text: str, reference: GPT2) -> None:
    found = evaluate(GPT2(path), text, reference=reference)
    size = path.stat().st_size / 1e6
    print(
        f"| {name} | {size:.1f} | {found.kl_mean:.5f} | {found.kl_p99:.4f} | "
        f"{found.perplexity:.2f} |",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("calibration", type=Path)
    parser.add_argument("judge", type=Path)
    parser.add_argument("others", type=Path, nargs="*", metavar="FILE.gguf")
    parser.add_argument("--types", nargs="+", default=TYPES)
    parser.add_argument("--tokens", type=int, default=32768, help="to calibrate with")
    options = parser.parse_args()
    text = options.judge.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        exact, stats, out = (Path(folder) / name for name in ("f32.gguf", "stats.gguf", "out.gguf"))
        convert(options.checkpoint, exact, "f32")
        reference = GPT2(exact)
        calibration = options.calibration.read_text(encoding="utf-8")
        n = calibrate(reference, calibration, stats, max_tokens=options.tokens)
        print(f"calibrated with {n} tokens", file=sys.stderr)
        print("| file | MB | KL mean | KL p99 | perplexity |\n|---|---|---|---|---|")
        for type_name in options.types:
            convert(exact, out, type_name)
            measure(out, type_name, text, reference)
            convert(exact, out, type_name, calibration=stats)
            measure(out, f"{type_name}, calibrated", text, reference)
        for path in options.others:
            measure(path, path.name, text, reference)


if __name__ == "__main__":
    main()
