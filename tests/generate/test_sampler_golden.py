"""The sampler against those of transformers and llama.cpp (tools/make_sampler_golden.py): the
probabilities that they leave of a distribution, compared by draws that they only just decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import plain_noise
import pytest

from pygpt2edge import GPT2
from pygpt2edge._core import Sampler

DATA = Path(__file__).resolve().parents[1] / "data" / "sampler"
SEED = 3
DRAWS, CLOSEST = 5_000, 300


def golden(library: str) -> list[Any]:
    data = json.loads((DATA / f"{library}.json").read_text())
    return [
        pytest.param(case | {"logits": data["logits"][case["logits"]], "eos": data["eos"]},
                     id=f"{library}-{json.dumps(case['options'])}")
        for case in data["cases"]
    ]  # fmt: skip


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

    tokens = np.array([token for token, _ in case["kept"]])
    noise = plain_noise.token_noise(SEED, np.arange(DRAWS), tokens)
    first, ahead = plain_noise.race(noise, np.array([share for _, share in case["kept"]]))
    # Where the next token is close behind, a slightly other probability decides otherwise.
    for draw in {*range(CLOSEST), *np.argsort(ahead)[:CLOSEST].tolist()}:
        sampler.draw_index = draw
        # Their arithmetic is that of 32-bit floats.
        assert sampler.sample(logits) == tokens[first[draw]] or ahead[draw] < 1e-4
