"""The logits of a token depend on the tokens before it and on nothing else: to the bit."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_models import MODELS, draw_weights, some_tokens, write_gguf

from pygpt2edge import _core

pytestmark = pytest.mark.slow
TYPES = ["f32", "f16", "q8_0", "q4_0"]
N_TOKENS = 60


@pytest.fixture(scope="module", params=TYPES)
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = MODELS["odd-heads"]
    file = tmp_path_factory.mktemp("models") / f"{request.param}.gguf"
    return write_gguf(file, model, draw_weights(model), request.param)


@pytest.fixture(scope="module", params=["f16", "int8", "int16"])
def kv_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def expected(path: Path, kv_type: str) -> NDArray[np.float32]:
    """All at once, on one thread."""
    return _core.Session(_core.Model(str(path), 1), 0, kv_type).append_all_logits(TOKENS)


TOKENS = some_tokens(MODELS["odd-heads"], N_TOKENS)


@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_number_of_threads(
    path: Path, kv_type: str, expected: NDArray[np.float32], n_threads: int
) -> None:
    model = _core.Model(str(path), n_threads)
    assert model.n_threads == n_threads
    assert np.array_equal(expected, _core.Session(model, 0, kv_type).append_all_logits(TOKENS))


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, N_TOKENS - 1), max_size=12))
def test_how_the_prompt_is_split(
    path: Path, kv_type: str, expected: NDArray[np.float32], cuts: list[int]
) -> None:
    session = _core.Session(_core.Model(str(path), 2), 0, kv_type)
    edges = sorted({0, *cuts, N_TOKENS})
    for first, last in itertools.pairwise(edges):
        session.append(TOKENS[first:last])
        assert np.array_equal(expected[last - 1], session.logits)


@settings(max_examples=15, deadline=None)
@given(kept=st.integers(0, N_TOKENS - 1), wrong=st.integers(1, 20))
def test_what_was_there_before_a_truncation(
    path: Path, kv_type: str, expected: NDArray[np.float32], kept: int, wrong: int
) -> None:
    session = _core.Session(_core.Model(str(path), 2), 0, kv_type)
    session.append(TOKENS[:kept])
    session.append(TOKENS[::-1][: min(wrong, N_TOKENS - kept)].copy())
    session.truncate(kept)
    assert np.array_equal(expected[kept:], session.append_all_logits(TOKENS[kept:]))


ISAS = [isa for isa in ("scalar", "avx2", "avx_vnni", "avx512_vnni") if isa in _core.cpu()["isas"]]


@pytest.mark.parametrize("isa", ISAS)
def test_instruction_set(path: Path, kv_type: str, expected: NDArray[np.float32], isa: str) -> None:
    code = (
        "import sys, numpy as np; from pygpt2edge import _core;"
        "model = _core.Model(sys.argv[1], 2); assert model.isa == sys.argv[2], model.isa;"
        "tokens = np.array(eval(sys.argv[3]), np.int32);"
        "sys.stdout.buffer.write(_core.Session(model, 0, sys.argv[4])"
        ".append_all_logits(tokens).tobytes())"
    )
    command = [sys.executable, "-c", code, str(path), isa, str(TOKENS.tolist()), kv_type]
    environment = {**os.environ, "GPT2EDGE_ISA": isa}
    done = subprocess.run(
        command, capture_output=True, check=True, env=environment, cwd=path.parent
    )
    assert done.stdout == expected.tobytes()


def test_unknown_instruction_set_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT2EDGE_ISA", "mmx")
    with pytest.raises(ValueError, match=r"mmx.*GPT2EDGE_ISA.*scalar"):
        _core.Model(str(path))


def test_two_threads_on_one_model(path: Path, kv_type: str, expected: NDArray[np.float32]) -> None:
    model = _core.Model(str(path), 2)
    wrong: list[int] = []

    def decode() -> None:
        session = _core.Session(model, 0, kv_type)
        for i, token in enumerate(TOKENS):
            session.append(np.array([token], np.int32))
            if not np.array_equal(expected[i], session.logits):
                wrong.append(i)

    threads = [threading.Thread(target=decode) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork(path: Path, expected: NDArray[np.float32]) -> None:
    code = (
        "import os, sys, numpy as np; from pygpt2edge import _core;"
        "model = _core.Model(sys.argv[1], 2);"
        "tokens = np.array(eval(sys.argv[2]), np.int32);"
        "run = lambda: _core.Session(model).append_all_logits(tokens);"
        "before = run(); child = os.fork();"
        "same = np.array_equal(before, run());"
        "os._exit(0 if same else 1) if child == 0 else None;"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or (0 if same else 1))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(path), str(TOKENS.tolist())]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, cwd=path.parent)
    assert done.returncode == 0, done.stderr
