"""How fast a model runs: prefill (reading a prompt) and decode (writing token by token)."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pygpt2edge import _core
from pygpt2edge.loaded_model import LoadedModel

# Tokens before those that decoding is timed on.
DECODE_PROMPT = 16


@dataclass(frozen=True)
class Benchmark:
    """What `benchmark` measured.

    Attributes:
      prefill: number of prompt tokens -> tokens a second, one value a run.
      decode: number of generated tokens -> tokens a second, one value a run.
      load_s: seconds that loading the model took.
      peak_rss_mb: peak memory of the whole process, Python included; None where unknown.
    """

    prefill: dict[int, list[float]]
    decode: dict[int, list[float]]
    load_s: float
    peak_rss_mb: float | None


def benchmark(
    model: LoadedModel,
    prefill: Sequence[int] = (128, 512),
    decode: Sequence[int] = (128,),
    *,
    repeat: int = 3,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> Benchmark:
    """Times a model; the median of a list is the figure to quote.

    Args:
      prefill: of each, so many fresh random tokens go into an empty context, and the logits of the
        last are computed.
      decode: of each, so many greedy tokens follow a random prompt of 16; end-of-text does not end
        them.
      repeat: timed runs of each, after one that is not.
      progress: called with (runs done, runs in all, what).

    Raises ValueError for a length that is less than 1 or does not fit the context.
    """
    _check_lengths(model, "prefill", prefill, 0)
    _check_lengths(model, "decode", decode, DECODE_PROMPT)
    runs = _Runs(model, np.random.default_rng(seed))
    jobs = [(runs.prefill, n, f"prefill {n}") for n in prefill]
    jobs += [(runs.decode, n, f"decode {n}") for n in decode]
    speeds: dict[str, list[float]] = {}
    done, total = 0, len(jobs) * (repeat + 1)
    for run, n, what in jobs:
        speeds[what] = []
        for i in range(repeat + 1):
            speed = n / run(n)
            if i > 0:  # the first run warms up
                speeds[what].append(speed)
            done += 1
            if progress is not None:
                progress(done, total, what)
    return Benchmark(
        prefill={n: speeds[f"prefill {n}"] for n in prefill},
        decode={n: speeds[f"decode {n}"] for n in decode},
        load_s=model.load_s,
        peak_rss_mb=peak_rss_mb(),
    )


class _Runs:
    """Single runs; each returns the seconds it took."""

    def __init__(self, model: LoadedModel, random: np.random.Generator) -> None:
        self._session = model.session()
        self._random = random
        self._greedy = _core.Sampler(temperature=0)
        self._n_vocab = model.config["n_vocab"]

    def prefill(self, n: int) -> float:
        tokens = self._fresh_tokens(n)
        self._session.truncate(0)
        start = time.perf_counter()
        self._session.append(tokens)
        return time.perf_counter() - start

    def decode(self, n: int) -> float:
        self.prefill(DECODE_PROMPT)
        start = time.perf_counter()
        for _ in range(n):
            token = self._session.sample(self._greedy)
            self._session.append([token])
        return time.perf_counter() - start

    def _fresh_tokens(self, n: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        return self._random.integers(0, self._n_vocab, n, np.int32)


def medians(speeds: dict[int, list[float]]) -> dict[str, float]:
    """Tokens a second, by number of tokens as text, for JSON."""
    return {str(n): statistics.median(values) for n, values in speeds.items()}


def peak_rss_mb() -> float | None:
    """The most memory (MB of 10^6 bytes) this process has held. None where it is not known."""
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage would count what the parent held when it forked this process.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def _check_lengths(model: LoadedModel, what: str, lengths: Sequence[int], before: int) -> None:
    for n in lengths:
        if not 1 <= n <= model.n_ctx - before:
            after = f" after a prompt of {before}" if before else ""
            raise ValueError(
                f"{what} of {n} tokens{after} does not fit: expected 1 to {model.n_ctx - before} "
                f"for a context of {model.n_ctx}"
            )
