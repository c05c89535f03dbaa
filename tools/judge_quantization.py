"""Are mixtures closer to the exact model than the files of another quantizer? A Markdown table.

    python tools/judge_quantization.py F32.gguf TEXT... --others FILE.gguf... --stats STATS.gguf

For each of the other files, such as those of llama.cpp's quantizer: a mixture of at most its size
without data, one with statistics (of `calibrate --sensitivities`) if given, and their KL divergence
from the exact model as a share of its. q8_0 is judged against the largest. All files are evaluated
in one pass over each text, none of which the statistics may come from. With --bits there are
mixtures of so many bits per weight too, which are compared with the exact model alone.

The goals: at most 0.7 of the other's divergence without data, 0.5 with data.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pygpt2edge import GPT2
from pygpt2edge.convert import convert
from pygpt2edge.inspect.divergence_plot import plot_divergences
from pygpt2edge.inspect.evaluate import evaluate_several
from pygpt2edge.inspect.scores import Evaluation

GOALS = {"mixture": 0.7, "mixture, calibrated": 0.5, "q8_0": 1.0}


@dataclass(frozen=True)
class Judged:
    """A file, and what its divergence is of the other's that it is compared with."""

    label: str
    path: Path
    found: Evaluation
    ratio: float | None

    @property
    def meets_its_goal(self) -> bool | None:
        return None if self.ratio is None else self.ratio <= GOALS[self.label]


def files(
    exact: Path, stats: Path | None, others: Sequence[Path], bits: Sequence[float], folder: Path
) -> Iterator[tuple[str, Path, int | None]]:
    """(label, path, place of the file it is compared with), the exact one first."""
    yield "exact", exact, None
    at = 1
    for other in others:
        yield other.stem, other, None
        its_place = at
        at += 1
        for label in GOALS:
            is_calibrated = label.endswith("calibrated")
            if label == "q8_0" and other is not max(others, key=lambda file: file.stat().st_size):
                continue
            if is_calibrated and stats is None:
                continue
            out = folder / f"{label} {other.stem}.gguf"
            if label == "q8_0":
                convert(exact, out, "q8_0")
            else:
                convert(exact, out, size=other.stat().st_size,
                        calibration=stats if is_calibrated else None)  # fmt: skip
            yield label, out, its_place
            at += 1
    for each in bits:
        for kind, calibration in (("", None), (", calibrated", stats)):
            if kind == "" or calibration is not None:
                label = f"mixture of {each} bits{kind}"
                out = folder / f"{label}.gguf"
                convert(exact, out, bits=each, calibration=calibration)
                yield label, out, None


def judge(
    exact: Path, stats: Path | None, others: Sequence[Path], texts: Sequence[str], folder: Path,
    max_windows: int | None = None, bits: Sequence[float] = (),
) -> list[list[Judged]]:  # fmt: skip
    """For each text, the files in order, the exact one first."""
    named = list(files(exact, stats, others, bits, folder))
    models, reference = [GPT2(path) for _, path, _ in named], GPT2(exact)
    out = []
    for text in texts:
        found = evaluate_several(models, text, reference=reference, max_windows=max_windows)
        kls = [each.kl_mean or 0.0 for each in found]
        out.append([
            Judged(label, path, each, None if against is None else kl / kls[against])
            for (label, path, against), each, kl in zip(named, found, kls, strict=True)
        ])  # fmt: skip
    return out


def print_table(rows: Sequence[Judged]) -> None:
    print(
        "| file | MB | KL mean | of the other's | KL p99 | perplexity |\n|---|---|---|---|---|---|"
    )
    for row in rows:
        size, found = row.path.stat().st_size / 1e6, row.found
        share = "" if row.ratio is None else f"{row.ratio:.2f}"
        if row.meets_its_goal is False:
            share += f" (goal {GOALS[row.label]})"
        change = found.perplexity / rows[0].found.perplexity - 1
        print(f"| {row.label} | {size:.2f} | {found.kl_mean:.6f} | {share} | {found.kl_p99:.4f} | "
              f"{found.perplexity:.3f} ({change:+.2%}) |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("exact", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--others", type=Path, nargs="+", required=True)
    parser.add_argument("--stats", type=Path)
    parser.add_argument("--windows", type=int, help="of each text; default all")
    parser.add_argument("--bits", type=float, nargs="*", default=())
    parser.add_argument("--plot", type=Path, help="a picture to write, of the first text")
    options = parser.parse_args()
    texts = [path.read_text(encoding="utf-8") for path in options.texts]
    with tempfile.TemporaryDirectory() as folder:
        tables = judge(options.exact, options.stats, options.others, texts, Path(folder),
                       options.windows, options.bits)  # fmt: skip
        for path, rows in zip(options.texts, tables, strict=True):
            print(f"\n{path.name}, {rows[0].found.tokens:,} tokens\n")
            print_table(rows)
        if options.plot is not None:
            rows = tables[0][1:]
            plot_divergences([row.path for row in rows], [row.found for row in rows], options.plot)


if __name__ == "__main__":
    main()
