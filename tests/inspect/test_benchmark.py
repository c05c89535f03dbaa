"""What a benchmark runs, not how fast that is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pygpt2edge import GPT2, _core
from pygpt2edge.inspect.benchmark import benchmark


class _Recorder:
    """A session that notes what is asked of it."""

    def __init__(self, session: _core.Session) -> None:
        self._session = session
        self.log: list[tuple[str, Any]] = []

    def append(self, tokens: np.ndarray | list[int]) -> None:
        self.log.append(("append", list(tokens)))
        self._session.append(tokens)

    def truncate(self, n: int) -> None:
        self.log.append(("truncate", n))
        self._session.truncate(n)

    def sample(self, sampler: _core.Sampler) -> int:
        return self._session.sample(sampler)


def test_what_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = GPT2()
    recorder = _Recorder(model.session())
    with monkeypatch.context() as patch:
        patch.setattr(model, "session", lambda: recorder)
        result = benchmark(model, [7], [3], repeat=2)
    assert result.prefill.keys() == {7}
    assert result.decode.keys() == {3}
    assert len(result.prefill[7]) == len(result.decode[3]) == 2

    prefills, decodes = recorder.log[:6], recorder.log[6:]
    texts = [tokens for what, tokens in prefills if what == "append"]
    assert [len(text) for text in texts] == [7, 7, 7]  # once to warm up
    assert len({tuple(text) for text in texts}) == 3  # fresh tokens each time
    assert prefills[::2] == [("truncate", 0)] * 3
    one = decodes[: len(decodes) // 3]
    assert [len(tokens) for what, tokens in one[1:]] == [16, 1, 1, 1]
    tokens = one[1][1]
    for _, (token,) in one[2:]:
        assert token == model.logits(tokens)[-1].argmax()
        tokens = [*tokens, token]
