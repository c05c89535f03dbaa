"""The texts of many prompts, or many texts of one, written by an engine that is made for them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from pygpt2edge.engine.engine import Engine
from pygpt2edge.generate.results import Completion
from pygpt2edge.loaded_model import LoadedModel


def generate_batch(
    model: LoadedModel, prompts: Sequence[str | Sequence[int]], *, max_batch: int, **options: Any
) -> list[Completion]:
    """See `GPT2.generate_batch`."""
    if not prompts:
        return []
    with Engine(model, max_batch=max_batch, max_queue=len(prompts)) as engine:
        requests = [engine.submit(prompt, **options) for prompt in prompts]
        return [request.result() for request in requests]


def generate_n(
    model: LoadedModel, prompt: str | Sequence[int], n: int, *, max_batch: int, **options: Any
) -> list[Completion]:
    """See `GPT2.generate_n`."""
    if n < 1:
        raise ValueError(f"n is {n}; give 1 or more")
    seed = options.pop("seed", None)
    seed = secrets.randbits(64) if seed is None else seed
    prompt = model.tokens_of(prompt, allow_special=options.pop("allow_special", False))
    with Engine(model, max_batch=max_batch, max_queue=n) as engine:
        # The engine keeps what it has read, here the prompt, for texts that begin with it.
        engine.submit(prompt, seed=seed, **options | {"max_tokens": 0}).result()
        requests = [engine.submit(prompt, seed=(seed + i) % 2**64, **options) for i in range(n)]
        return [request.result() for request in requests]
