"""`pygpt2edge bench` and inspect.benchmark: what is run and reported, not how fast it is."""

from __future__ import annotations

import json
import statistics
from typing import Any

import numpy as np
import pytest

from pygpt2edge import GPT2, _core
from pygpt2edge.inspect.benchmark import benchmark

from .conftest import Run, one_line_error


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


def test_json_is_one_object_on_the_last_line(run: Run) -> None:
    done = run("bench", "--json", "-p", "16,32", "-n", "4", "-t", "1", "--repeat", "2")
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["prefill"].keys() == {"16", "32"}
    assert result["decode"].keys() == {"4"}
    for kind in ("prefill", "decode"):
        for n, speed in result[kind].items():
            assert len(result["runs"][kind][n]) == 2
            assert speed == statistics.median(result["runs"][kind][n])
            assert speed > 0
    assert result["load_s"] > 0
    assert sum(result["memory"].values()) / 1e6 < result["peak_rss_mb"] < 2000
    assert result["n_threads"] == 1


def test_the_table(run: Run) -> None:
    done = run("bench", "-p", "16", "-n", "0", "-r", "1")
    words = [line.split() for line in done.stdout.splitlines()]
    assert words[0] == ["tokens", "tok/s", "slowest", "fastest"]
    assert words[1][:2] == ["prefill", "16"]
    assert not any("decode" in line for line in words)


@pytest.mark.parametrize(
    ("args", "status", "found"),
    [
        (["-p", "many"], 2, "many"),
        (["-p", "16,-4"], 2, "-4"),
        (["-r", "0"], 2, "0"),
        (["-p", "5000"], 1, "5000"),
        (["-p", "0", "-n", "1020"], 1, "1020"),
    ],
)
def test_errors(run: Run, args: list[str], status: int, found: str) -> None:
    assert found in one_line_error(run("bench", *args), status)
