"""The texts of many prompts, or many texts of one, written by an engine that is made for them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from pygpt2edge.engine.engine import Engine
from pygpt2edge.generate.results import Completion
from pygpt2edge.loaded_model import LoadedModel
from pygpt2edge.options import SEEDS, SamplingParams

MAX_BATCH = 16  # texts at once


def generate_batch(
    model: LoadedModel, prompts: Sequence[str | Sequence[int]], params: SamplingParams
) -> list[Completion]:
    """See `GPT2.generate`."""
    if not prompts:
        return []
    with Engine(model, max_batch=MAX_BATCH, max_queue=len(prompts)) as engine:
        requests = [engine.submit(prompt, params) for prompt in prompts]
        return [request.result() for request in requests]


def generate_n(
    model: LoadedModel, prompt: str | Sequence[int], n: int, params: SamplingParams
) -> list[Completion]:
    """See `GPT2.generate_n`."""
    if n < 1:
        raise ValueError(f"n is {n}; give 1 or more")
    seed = secrets.randbits(64) if params.seed is None else params.seed
    prompt = model.tokens_of(prompt, allow_special=params.allow_special)
    with Engine(model, max_batch=MAX_BATCH, max_queue=n) as engine:
        # The engine keeps what it has read, here the prompt, for texts that begin with it.
        engine.submit(prompt, replace(params, seed=seed, max_tokens=0)).result()
        requests = [
            engine.submit(prompt, replace(params, seed=(seed + i) % SEEDS)) for i in range(n)
        ]
        return [request.result() for request in requests]
