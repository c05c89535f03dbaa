"""A model that is sent to other processes: by its path, opened again there."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from pygpt2edge import GPT2, SamplingParams, demo_model_path
from pygpt2edge.errors import FormatError


def test_other_processes_write_the_same(tmp_path: Path) -> None:
    path = shutil.copy(demo_model_path(), tmp_path / "model.gguf")
    model = GPT2(path, n_threads=1, n_ctx=64, kv_type="int8")
    params = [SamplingParams(max_tokens=8, seed=seed) for seed in (1, 2, 3)]
    expected = [model.generate("It is a truth", each).text for each in params]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as executor:
        texts = [executor.submit(model.generate, "It is a truth", each) for each in params]
        assert [text.result().text for text in texts] == expected
        kv_type = executor.submit(getattr, model, "kv_type").result()
    assert kv_type == "int8"


def test_a_process_opens_a_model_once() -> None:
    model = GPT2(n_ctx=32)
    data = pickle.dumps(model)
    assert len(data) < 500
    first, second = pickle.loads(data), pickle.loads(data)
    assert first is second
    assert first is not model
    assert first.n_ctx == 32
    assert pickle.loads(pickle.dumps(GPT2())) is not first  # other settings


def test_options_with_a_draft_model_can_be_sent() -> None:
    params = pickle.loads(pickle.dumps(SamplingParams(draft_model=GPT2(), temperature=0)))
    text = GPT2().generate("It is a truth", params, max_tokens=8).text
    assert text == GPT2().generate("It is a truth", temperature=0, max_tokens=8).text


def test_another_model_at_the_path_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    shutil.copy(demo_model_path(), path)
    data = pickle.dumps(GPT2(path))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the last tensor
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"model\.gguf: another model than the one"):
        pickle.loads(data)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.gguf"):
        pickle.loads(data)
