"""Times a model on a machine that is asked for more than it has.

    python tools/bench_oversubscribed.py MODEL [--rounds 5]

Once for each core, twice and four times as many threads, quiet and with a busy process on every
core: reading a prompt of 256 tokens and writing 64, a process each, round after round, medians. The
fair share of a busy machine is half of what the quiet one does with a thread for each core.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

PREFILL, DECODE = 256, 64


def time_model(path: str, n_threads: int) -> tuple[float, float]:
    """Tokens a second of reading and of writing, each the median of three."""
    from pygpt2edge import GPT2
    from pygpt2edge.inspect.benchmark import benchmark

    result = benchmark(GPT2(path, n_threads=n_threads), [PREFILL], [DECODE], repeat=3)
    return statistics.median(result.prefill[PREFILL]), statistics.median(result.decode[DECODE])


def keep_busy(core: int) -> None:
    os.sched_setaffinity(0, {core})
    while True:
        pass


@contextmanager
def busy_neighbours(cores: set[int]) -> Iterator[None]:
    processes = [multiprocessing.Process(target=keep_busy, args=(core,)) for core in cores]
    for process in processes:
        process.start()
    time.sleep(0.2)
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def in_own_process(path: str, n_threads: int) -> tuple[float, float]:
    command = [sys.executable, __file__, path, "--time-threads", str(n_threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    prefill, decode = done.stdout.split()
    return float(prefill), float(decode)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--time-threads", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.time_threads:
        print(*time_model(args.model, args.time_threads))
        return

    cores = os.sched_getaffinity(0)
    cases = [(n * len(cores), busy) for busy in (False, True) for n in (1, 2, 4)]
    speeds = defaultdict(list)
    for _ in range(args.rounds):
        for n_threads, busy in cases:
            with busy_neighbours(cores if busy else set()):
                speeds[n_threads, busy].append(in_own_process(args.model, n_threads))

    medians = {
        case: [statistics.median(column) for column in zip(*runs, strict=True)]
        for case, runs in speeds.items()
    }
    print(f"| threads on {len(cores)} cores | prefill | of fair share | decode | of fair share |")
    print("|---|---|---|---|---|")
    for (n_threads, busy), median in medians.items():
        fair = [x / (2 if busy else 1) for x in medians[len(cores), False]]
        cells = [f"{x:,.0f} | {x / f:.0%}" for x, f in zip(median, fair, strict=True)]
        neighbours = ", and a busy process on each core" if busy else ""
        print(f"| {n_threads}{neighbours} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
