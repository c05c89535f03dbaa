"""`GPT2.generate` for several prompts, or several texts of each: an engine of their own."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from pygpt2edge.engine.engine import Engine
from pygpt2edge.generate.results import Completion
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.options import SEEDS, SamplingParams

MAX_BATCH = 16  # texts at once


def generate_many(
    model: LoadedModel, prompts: Sequence[str | Sequence[int]], n: int, params: SamplingParams
) -> list[list[Completion]]:
    """n completions of each prompt. See `GPT2.generate`."""
    if n < 1:
        raise ValueError(f"n is {n}; give 1 or more")
    if not prompts:
        return []
    each = [(params.tokens_of(model, prompt), params.for_prompt(prompt)) for prompt in prompts]
    with Engine(model, max_batch=MAX_BATCH, max_queue=n * len(each)) as engine:
        if n > 1:  # the engine keeps what it has read, here the prompts, for texts that begin so
            read = [engine.submit(prompt, replace(own, max_tokens=0)) for prompt, own in each]
            for request in read:
                request.result()
        submitted = [
            [engine.submit(prompt, replace(own, seed=seed)) for seed in seeds(params.seed, n)]
            for prompt, own in each
        ]
        return [[request.result() for request in requests] for requests in submitted]


def seeds(first: int | None, n: int) -> list[int]:
    """The seeds of n texts of one prompt; the first is drawn where none is given."""
    seed = secrets.randbits(64) if first is None else first
    return [(seed + i) % SEEDS for i in range(n)]
