"""Times saving a text and resuming it.

    python tools/bench_session.py MODEL [--tokens 900] [--rounds 9]

Writes so many tokens, saves the text, and measures how long `GPT2.resume` takes until the text goes
on, with the model loaded and the file in the page cache: `first` in a model that has not resumed
anything yet, `again` in one that has, and the token that comes next. Checks that the text is the
one that writing without a pause gives. Prints medians in milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from pygpt2edge import GPT2

PROMPT = "It is a truth universally acknowledged, that a single man"


def milliseconds(times: list[float]) -> str:
    return f"{1000 * statistics.median(times):.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", type=int, default=900)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    how = {"seed": 1, "ignore_eos": True}
    model = GPT2(options.model, n_threads=options.threads)
    stream = model.stream(PROMPT, max_tokens=options.tokens, **how)
    for _ in stream:
        pass
    whole = model.generate(PROMPT, max_tokens=options.tokens + 5, **how).tokens
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "text"
        saving, first, again, token = [], [], [], []
        for _ in range(options.rounds):
            start = time.perf_counter()
            stream.save(path)
            saving.append(time.perf_counter() - start)
            fresh = GPT2(options.model, n_threads=options.threads)
            for times in (first, again):
                start = time.perf_counter()
                resumed = fresh.resume(path, max_tokens=5)
                times.append(time.perf_counter() - start)
                start = time.perf_counter()
                next(resumed)
                token.append(time.perf_counter() - start)
                for _ in resumed:
                    pass
                if resumed.completion().tokens != whole:
                    raise SystemExit("the text differs")
        print(
            f"{options.model.name}, {model.kv_type} cache, {options.tokens} tokens: file "
            f"{path.stat().st_size / 1e6:.1f} MB, save {milliseconds(saving)}, resume first "
            f"{milliseconds(first)}, again {milliseconds(again)}, the next token "
            f"{milliseconds(token)}"
        )


if __name__ == "__main__":
    main()
