"""A model's file: where it may be, what it must be, and what is known of it once it is loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pygpt2edge import GPT2, FormatError, demo_model_path


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are Unicode")
def test_path_of_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"m\xff\xe8.gguf")
    path.write_bytes(demo_model_path().read_bytes())
    assert GPT2(path).generate("It is", max_tokens=1, temperature=0).tokens


def test_path_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.gguf"):
        GPT2(tmp_path / "none.gguf")
    with pytest.raises(IsADirectoryError, match="pygpt2edge convert"):
        GPT2(tmp_path)
    (tmp_path / "half.gguf").write_bytes(demo_model_path().read_bytes()[:100_000])
    with pytest.raises(FormatError, match=r"half\.gguf.*truncated"):
        GPT2(tmp_path / "half.gguf")


def test_model_says_what_it_is() -> None:
    model = GPT2()
    assert model.config["n_layer"] == 6
    assert model.n_ctx == 1024
    assert model.memory["cache"] == 6 * 2 * 1024 * 256 * 2  # f16
    assert "6 layers of 256" in repr(model)
