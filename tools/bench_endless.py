"""Shows what an endless text costs, and that it is the one that encoding anew would give.

    python tools/bench_endless.py MODEL [--tokens 20000] [--discard 512] [--text FILE]

Writes so many tokens by the sliding window, then again the naive way: whenever the context is full,
it leaves out the oldest `discard` tokens and encodes the others anew. Checks that both are the
same, and prints for each the median and the largest time of a token once the first context is full,
and those of the tokens at a change of contexts apart: other programs make others slow. The first
change stands alone: memory that is used for the first time would show there. With --text, the
perplexity of a file by windows that do not overlap, and by ones that move on by `discard` tokens.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from pygpt2edge import GPT2, _core
from pygpt2edge.inspect.evaluate import evaluate

PROMPT = "It is a truth universally acknowledged, that a single man"
SEED = 1


def sliding(model: GPT2, n: int, discard: int) -> Iterator[int]:
    stream = model.stream(
        PROMPT, max_tokens=n, seed=SEED, ignore_eos=True,
        context_overflow="slide", discard=discard,
    )  # fmt: skip
    for piece in stream:
        if piece.token is not None:
            yield piece.token


def naive(model: GPT2, n: int, discard: int) -> Iterator[int]:
    sampler = _core.Sampler(seed=SEED)
    text = model.tokenizer.encode(PROMPT)
    session = model.session()
    session.append(text)
    for _ in range(n):
        token = session.sample(sampler)
        yield token
        if len(session) == model.n_ctx:
            session = model.session()
            session.append(text[discard - model.n_ctx :])
        text.append(token)
        session.append([token])


def timed(tokens: Iterator[int]) -> tuple[list[int], list[float]]:
    found, times = [], []
    last = time.perf_counter()
    for token in tokens:
        found.append(token)
        now = time.perf_counter()
        times.append(now - last)
        last = now
    return found, times


def report(name: str, times: list[float], n_prompt: int, n_ctx: int, stride: int) -> None:
    """Times from the first full context on; contexts change at every `stride`-th token there."""
    later = times[n_ctx - n_prompt :]
    median = statistics.median(later)
    # The token after which the context was full, and the one that begins the next.
    first, *changes = [max(later[i : i + 2]) for i in range(0, len(later) - 1, stride)]
    slow = sum(t > 1.5 * median for t in later)
    print(
        f"{name}: median {1000 * median:.2f} ms a token, largest {1000 * max(later):.2f}; at the "
        f"first change of contexts {1000 * first:.2f}, at {len(changes)} others median "
        f"{1000 * statistics.median(changes):.2f}, largest {1000 * max(changes):.2f} "
        f"({max(changes) / median:.2f} medians); {slow} of {len(later)} tokens above 1.5 medians"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--discard", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--text", type=Path)
    options = parser.parse_args()
    model = GPT2(options.model, n_threads=options.threads)
    n_prompt = len(model.tokenizer.encode(PROMPT))
    texts = []
    for name, way in (("sliding", sliding), ("naive", naive)):
        tokens, times = timed(way(model, options.tokens, options.discard))
        texts.append(tokens)
        report(name, times, n_prompt, model.n_ctx, options.discard)
    if texts[0] != texts[1]:
        raise SystemExit("the texts differ")
    print(f"{len(texts[0]):,} tokens, the same both ways")
    if options.text is not None:
        text = options.text.read_text(encoding="utf-8")
        for stride in (model.n_ctx, options.discard):
            found = evaluate(model, text, stride=stride)
            print(
                f"stride {stride}: perplexity {found.perplexity:.2f} over {found.tokens:,} tokens"
            )


if __name__ == "__main__":
    main()
