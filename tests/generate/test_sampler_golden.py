"""The sampler against those of transformers and llama.cpp (tools/make_sampler_golden.py): the
probabilities that they leave of a distribution, compared by draws at their boundaries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pygpt2edge import GPT2
from pygpt2edge._core import Sampler, random_uniform

DATA = Path(__file__).resolve().parents[1] / "data" / "sampler"
SEED = 3
UNIFORM = np.array([random_uniform(SEED, draw) for draw in range(20_000)])
BY_UNIFORM = np.argsort(UNIFORM)


def golden(library: str) -> list[Any]:
    data = json.loads((DATA / f"{library}.json").read_text())
    return [
        pytest.param(case | {"logits": data["logits"][case["logits"]], "eos": data["eos"]},
                     id=f"{library}-{json.dumps(case['options'])}")
        for case in data["cases"]
    ]  # fmt: skip


def draws_beside(shares: np.ndarray) -> list[int]:
    """The draws whose random numbers are next to these, on both sides."""
    at = np.searchsorted(UNIFORM[BY_UNIFORM], shares)
    places = np.clip(np.concatenate([at - 2, at - 1, at, at + 1]), 0, len(UNIFORM) - 1)
    return [int(draw) for draw in BY_UNIFORM[np.unique(places)]]


@pytest.fixture(scope="module")
def tables() -> Any:
    return GPT2(n_threads=1).tokenizer.tables


@pytest.mark.parametrize("case", golden("transformers") + golden("llama_cpp"))
def test_leaves_the_same_probabilities(case: dict[str, Any], tables: Any) -> None:
    options = {"temperature": 1.0, "top_k": 0} | case["options"]
    sampler = Sampler(**options, end_tokens=[case["eos"]], seed=SEED, tables=tables)
    for token in case["prompt"]:
        sampler.accept_prompt(token)
    for token in case["generated"]:
        sampler.accept(token)
    logits = np.array(case["logits"], np.float32)

    kept = case["kept"]
    is_truncated = options["top_k"] > 0 or any(
        name in options for name in ("top_p", "typical_p", "xtc_probability")
    )
    if is_truncated:  # drawn in the order of the probabilities
        kept = sorted(kept, key=lambda pair: (-pair[1], pair[0]))
    tokens = [token for token, _ in kept]
    shares = np.cumsum([probability for _, probability in kept])
    for draw in draws_beside(np.concatenate([[0.0], shares])):
        sampler.draw_index = draw
        token = sampler.sample(logits)
        expected = tokens[min(int(np.searchsorted(shares, UNIFORM[draw], "right")), len(kept) - 1)]
        # Their arithmetic is that of 32-bit floats.
        assert token == expected or np.abs(shares - UNIFORM[draw]).min() < 1e-5
