"""Sessions refuse what cannot be computed, and are unharmed by it."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_models import MODELS, draw_weights, some_tokens, write_gguf

from pygpt2edge import ContextLengthError, FormatError, _core

MODEL = MODELS["plain"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> _core.Model:
    path = tmp_path_factory.mktemp("models") / "plain.gguf"
    return _core.Model(str(write_gguf(path, MODEL, draw_weights(MODEL), "q8_0")), 2)


def test_more_tokens_than_positions(model: _core.Model) -> None:
    session = _core.Session(model, 20)
    session.append(some_tokens(MODEL, 15))
    before = session.logits
    with pytest.raises(ContextLengthError, match=r"21 tokens.*context of 20: 1 too many.*n_ctx"):
        session.append(some_tokens(MODEL, 6))
    assert len(session) == 15
    assert np.array_equal(before, session.logits)
    session.append(some_tokens(MODEL, 5))
    assert len(session) == 20


@pytest.mark.parametrize("token", [-1, MODEL.n_vocab, 2**31 - 1])
def test_token_out_of_range(model: _core.Model, token: int) -> None:
    session = _core.Session(model)
    with pytest.raises(ValueError, match=rf"token 1 is {token}.*0 to {MODEL.n_vocab - 1}"):
        session.append(np.array([0, token], np.int32))
    assert len(session) == 0


@pytest.mark.parametrize("n_ctx", [-5, MODEL.n_ctx + 1])
def test_context_the_model_has_no_positions_for(model: _core.Model, n_ctx: int) -> None:
    if n_ctx < 0:
        assert _core.Session(model, n_ctx).n_ctx == MODEL.n_ctx
    else:
        with pytest.raises(ValueError, match=rf"n_ctx is {n_ctx}.*1 to {MODEL.n_ctx}"):
            _core.Session(model, n_ctx)


def test_logits_before_any_token(model: _core.Model) -> None:
    with pytest.raises(ValueError, match="append at least one token"):
        _ = _core.Session(model).logits
    with pytest.raises(ValueError, match="append at least one token"):
        _core.Session(model).sample(_core.Sampler())


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0},
        {"top_k": 3},
        {"top_k": 299},
        {"top_k": 0},
        {"top_k": 0, "top_p": 0.7},
        {"min_p": 0.3},
        {"repetition_penalty": 1.5, "temperature": 0},
        {"logit_bias": {7: -float("inf"), 299: 3.0}},
    ],
)
def test_sampling_is_that_of_the_logits(model: _core.Model, options: dict[str, Any]) -> None:
    session = _core.Session(model)
    one, other = _core.Sampler(**options, seed=7), _core.Sampler(**options, seed=7)
    for token in range(30):
        session.append([token])
        logits = session.logits
        assert session.sample(one) == other.sample(logits)
        one.accept(token)
        other.accept(token)


def test_sampling_from_broken_weights(tmp_path: Path) -> None:
    weights = draw_weights(MODEL)
    weights["wte.weight"][37, 0] = np.nan
    path = write_gguf(tmp_path / "broken.gguf", MODEL, weights, "f32")
    session = _core.Session(_core.Model(str(path)))
    session.append([5])
    for sampler in (_core.Sampler(), _core.Sampler(temperature=0)):
        with pytest.raises(FormatError, match="token 37 is nan.*damaged"):
            session.sample(sampler)


def test_unknown_cache_type(model: _core.Model) -> None:
    with pytest.raises(ValueError, match=r'kv_type is "q2".*f16'):
        _core.Session(model, 0, "q2")


def test_truncating_to_more_than_there_is(model: _core.Model) -> None:
    session = _core.Session(model)
    session.append(some_tokens(MODEL, 3))
    with pytest.raises(ValueError, match="cannot truncate to 4 tokens: there are 3"):
        session.truncate(4)


def test_memory_is_what_was_estimated(tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", MODEL, draw_weights(MODEL), "q4_0")
    estimate = _core.memory_estimate(str(path), 32, "f16", 2)
    model = _core.Model(str(path), 2)
    assert estimate == {
        "weights": model.weight_bytes,
        "cache": _core.Session(model, 32, "f16").cache_bytes,
        "workspace": model.workspace_bytes,
    }


@pytest.mark.skipif(os.name == "nt", reason="sends itself SIGINT")
def test_ctrl_c_during_a_long_pass(tmp_path: Path) -> None:
    model = MODELS["xl-width"]
    path = write_gguf(tmp_path / "wide.gguf", model, draw_weights(model), "f32")
    wide = _core.Model(str(path), 2)
    session = _core.Session(wide)
    session.append(some_tokens(model, 3))
    before = session.logits

    def work_for_a_minute() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            session.truncate(3)
            session.append(some_tokens(model, 60))

    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        work_for_a_minute()
    # Whatever was cut short, the first tokens are still there, and give what they gave.
    session.truncate(2)
    session.append(some_tokens(model, 3)[2:])
    assert np.array_equal(before, session.logits)
