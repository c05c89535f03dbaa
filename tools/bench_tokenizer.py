"""Times the core's tokenizer against tiktoken, on one thread.

    python tools/bench_tokenizer.py TEXT [--model MODEL] [--rounds 15]

TEXT is a file, MODEL the GGUF file whose vocabulary is taken, by default the model of the package.
Prints the milliseconds that each takes to be made from the vocabulary, and how many MB (10^6 bytes)
of the text it encodes a second: medians of rounds in which the two take turns. The thread's own
time is taken, so that what else runs counts little.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from pygpt2edge import _core, demo_model_path
from pygpt2edge.tokenizer.tiktoken_encoder import TiktokenEncoder

Encode = Callable[[str, bool], list[int]]


def makers(tables: _core.TokenizerTables) -> dict[str, Callable[[], Encode]]:
    token_bytes = tables.token_bytes
    return {
        "core": lambda: _core.Tokenizer(tables).encode,
        "tiktoken": lambda: TiktokenEncoder(tables, token_bytes).encode,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", type=Path, metavar="TEXT")
    parser.add_argument("--model", type=Path, default=demo_model_path())
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    text = options.text.read_text(encoding="utf-8")
    make = makers(_core.tokenizer_tables(_core.GgufFile(options.model)))

    made: dict[str, list[float]] = {name: [] for name in make}
    took: dict[str, list[float]] = {name: [] for name in make}
    tokens: dict[str, list[int]] = {}
    for _ in range(options.rounds):
        for name, make_one in make.items():
            start = time.thread_time()
            encode = make_one()
            encode("a", False)  # tiktoken's part is made when text first comes
            made[name].append(time.thread_time() - start)
            start = time.thread_time()
            tokens[name] = encode(text, False)
            took[name].append(time.thread_time() - start)
            del encode  # takes time, too
    assert tokens["core"] == tokens["tiktoken"]

    size = len(text.encode()) / 1e6
    print(f"{size:.2f} MB, {len(tokens['core']):,} tokens, medians of {options.rounds} rounds")
    for name in make:
        rate = size / statistics.median(took[name])
        print(f"{name:10}made in {1e3 * statistics.median(made[name]):6.1f} ms{rate:9.1f} MB/s")


if __name__ == "__main__":
    main()
