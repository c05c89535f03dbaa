"""Sessions that share memory and passes are what they would be alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import MODELS, TinyModel, draw_weights, write_gguf

from pygpt2edge import ContextLengthError, _core

# Contexts of several pages of 64 tokens.
SHAPE = TinyModel("pages", n_layer=2, n_head=2, n_embd=32, n_inner=64, n_ctx=200, n_vocab=50)
KV_TYPES = ["int8", "f16", "f32"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> _core.Model:
    path = tmp_path_factory.mktemp("models") / "pages.gguf"
    return _core.Model(str(write_gguf(path, SHAPE, draw_weights(SHAPE), "q8_0")), 2)


def alone(model: _core.Model, tokens: list[int], kv_type: str) -> np.ndarray:
    session = _core.Session(model, kv_type=kv_type)
    session.append(tokens)
    return session.logits


def tokens_of(seed: int, n: int) -> list[int]:
    return [int(t) for t in np.random.default_rng(seed).integers(0, SHAPE.n_vocab, n)]


# What may happen to some sessions: a pass with one or more of them, a fork, a truncation, an end.
ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("append"),
            st.lists(
                st.tuples(st.integers(0, 7), st.integers(1, 70), st.integers(0, 3)),
                min_size=1, max_size=4,
            ),
        ),
        st.tuples(st.just("fork"), st.integers(0, 7)),
        st.tuples(st.just("truncate"), st.integers(0, 7), st.floats(0, 1)),
        st.tuples(st.just("drop"), st.integers(0, 7)),
    ),
    max_size=14,
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(actions=ACTIONS, kv_type=st.sampled_from(KV_TYPES))
def test_any_interleaving(model: _core.Model, actions: list[tuple], kv_type: str) -> None:
    sessions = [(_core.Session(model, kv_type=kv_type), [])]
    for action, *details in actions:
        if action == "append":
            parts = {}
            for which, n, seed in details[0]:
                session, tokens = sessions[which % len(sessions)]
                n = min(n, SHAPE.n_ctx - len(tokens))  # noqa: PLW2901
                if n > 0 and id(session) not in parts:
                    parts[id(session)] = (session, tokens_of(seed, n))
                    tokens += tokens_of(seed, n)
            _core.append_together(list(parts.values()))
            continue
        session, tokens = sessions[details[0] % len(sessions)]
        if action == "fork":
            sessions.append((session.fork(), list(tokens)))
        elif action == "truncate":
            n = int(details[1] * len(tokens))
            session.truncate(n)
            del tokens[n:]
        elif len(sessions) > 1:
            sessions.remove((session, tokens))
    for session, tokens in sessions:
        assert session.tokens == tokens
        if not tokens:
            continue
        last = tokens[-1]
        session.truncate(len(tokens) - 1)
        session.append([last])
        assert np.array_equal(session.logits, alone(model, tokens, kv_type))


def test_a_fork_has_the_logits_and_goes_its_own_way(model: _core.Model) -> None:
    session = _core.Session(model)
    session.append(tokens_of(1, 100))
    fork = session.fork()
    assert np.array_equal(fork.logits, session.logits)
    fork.append([1])
    session.append([2])
    assert np.array_equal(fork.logits, alone(model, [*tokens_of(1, 100), 1], "f16"))
    assert np.array_equal(session.logits, alone(model, [*tokens_of(1, 100), 2], "f16"))


def test_memory_is_shared_and_given_back(model: _core.Model) -> None:
    before = model.cache_bytes_used
    session = _core.Session(model)
    assert model.cache_bytes_used == before
    session.append(tokens_of(2, 130))
    page = (model.cache_bytes_used - before) // 3
    forks = [session.fork() for _ in range(10)]
    assert model.cache_bytes_used == before + 3 * page
    _core.append_together([(fork, [i]) for i, fork in enumerate(forks)])
    assert model.cache_bytes_used == before + 13 * page  # a last page for each
    assert session.cache_bytes_used == 3 * page
    assert session.cache_bytes == 4 * page
    session.truncate(64)
    assert session.cache_bytes_used == page
    del session, forks
    assert model.cache_bytes_used == before


def test_a_part_that_cannot_be_computed_changes_none(model: _core.Model) -> None:
    one, two = _core.Session(model), _core.Session(model)
    one.append([1, 2])
    two.append(tokens_of(3, 199))
    with pytest.raises(ContextLengthError, match="201 tokens do not fit"):
        _core.append_together([(one, [3]), (two, [4, 5])])
    with pytest.raises(ValueError, match="comes twice"):
        _core.append_together([(one, [3]), (one, [4])])
    assert one.tokens == [1, 2]
    assert len(two) == 199
    assert np.array_equal(one.logits, alone(model, [1, 2], "f16"))


def test_sessions_of_two_models(model: _core.Model, tmp_path: Path) -> None:
    plain = MODELS["plain"]
    other = _core.Model(str(write_gguf(tmp_path / "o.gguf", plain, draw_weights(plain), "f16")), 1)
    with pytest.raises(ValueError, match="different models"):
        _core.append_together([(_core.Session(model), [1]), (_core.Session(other), [1])])
