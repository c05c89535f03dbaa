"""How probable a text is."""

from __future__ import annotations

import numpy as np
import pytest

from pygpt2edge import GPT2

PROMPT = "It is a truth universally acknowledged, that"


def test_scores_are_log_probabilities_of_the_logits() -> None:
    model = GPT2()
    tokens = model.tokenizer.encode(PROMPT)
    scores = model.score(PROMPT)
    logits = model.logits([50256, *tokens[:-1]]).astype(np.float64)
    expected = logits[np.arange(len(tokens)), tokens] - np.log(np.exp(logits).sum(axis=1))
    assert scores == pytest.approx(expected, abs=1e-4)
    assert model.score("").shape == (0,)
    text = "And it came to pass, that he went into the house."
    shuffled = "into the that came house. pass, And went to he it"
    assert model.score(text).mean() > model.score(shuffled).mean()
