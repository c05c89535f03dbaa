"""Times the suggestion of next words while a text is typed, a character at a time.

    python tools/bench_suggest.py MODEL [--threads 2] [-k 3] [--max-passes 3] [--rounds 5]

MODEL is a GGUF file, "demo" the model of the package. Every round types the sentences below anew;
its first character, which the vocabulary is read for, does not count. A character takes the median
of its rounds, for what else the machine does hits another one each time. Prints the median, the
95th percentile and the largest number of milliseconds a character, the largest of any round, and
how many characters took longer than 50 ms.
"""

from __future__ import annotations

import argparse
import statistics
import time

from pygpt2edge import GPT2, Suggester

TEXT = (
    "It is a truth universally acknowledged, that a single man in possession of a good fortune "
    "must be in want of a wife. However little known the feelings or views of such a man may be, "
    "I don't think it'll rain before Thursday; the weather has been better than in 1995.\n"
    "Could you send me the photographs? Thanks!"
)


def milliseconds(suggester: Suggester, k: int) -> list[float]:
    """Of every character."""
    times = []
    for n in range(1, len(TEXT) + 1):
        start = time.perf_counter()
        suggester.suggest(TEXT[:n], k)
        times.append(1e3 * (time.perf_counter() - start))
    return times[1:]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kv-type", choices=("int8", "int16", "f16", "f32"))
    parser.add_argument("-k", type=int, default=3)
    parser.add_argument("--max-passes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    path = None if options.model == "demo" else options.model
    model = GPT2(path, n_threads=options.threads, kv_type=options.kv_type)
    rounds = []
    for _ in range(options.rounds):
        suggester = Suggester(model, max_passes=options.max_passes)
        rounds.append(milliseconds(suggester, options.k))
    times = sorted(statistics.median(same) for same in zip(*rounds, strict=True))
    p95 = times[int(0.95 * (len(times) - 1))]
    largest = max(map(max, rounds))
    print("| characters | median ms | 95% ms | largest ms | largest of any round | over 50 ms |")
    print("|---" * 6 + "|")
    print(
        f"| {len(times)} | {statistics.median(times):.1f} | {p95:.1f} | {times[-1]:.1f} "
        f"| {largest:.1f} | {sum(t > 50 for t in times)} |"
    )


if __name__ == "__main__":
    main()
