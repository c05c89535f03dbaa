"""A model whose tokenizer is not GPT-2's, in the C library: tokens become texts, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from c_library import CError, ffi

from pygpt2edge import GPT2
from pygpt2edge.convert import convert

pytest.importorskip("sentencepiece")
pytest.importorskip("transformers")

import other_tokenizers as makers


@pytest.fixture(scope="module", params=["small_letters", "pairs", "digits"])
def python_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GPT2:
    folder = tmp_path_factory.mktemp(request.param)
    makers.ALL[request.param](folder)
    convert(folder, folder / "model.gguf", "f32")
    return GPT2(folder / "model.gguf", n_threads=1)


@pytest.fixture
def model(library: Any, python_model: GPT2) -> Iterator[Any]:
    model = library.model(python_model.path, n_threads=1)
    yield model
    library.call("model_close", model)


def test_tokens_become_texts(library: Any, model: Any, python_model: GPT2) -> None:
    tokenizer = python_model.tokenizer
    for text in makers.CORPUS:
        tokens = tokenizer.encode(text)
        decoded = library.array("char", "decode", model, tokens, len(tokens))
        assert decoded.decode() == tokenizer.decode(tokens)
    prompt = tokenizer.encode("It was the best")
    expected = python_model.generate(prompt, max_tokens=20, seed=4).text
    text, data = library.text(model, prompt, max_tokens=20, seed=4), b""
    while (piece := library.piece(text)) is not None:
        data += ffi.buffer(piece.text, piece.n_text)[:]  # which need not be whole characters
    assert data.decode(errors="replace") == expected


def test_texts_are_refused(library: Any, model: Any) -> None:
    advice = "takes GPT-2's own tokenizer: give token ids, or use the Python package"
    for refused in (lambda: library.encode(model, "text"), lambda: library.text(model, "text")):
        with pytest.raises(CError, match=f"model.gguf: tokenizer.ggml.* {advice}") as raised:
            refused()
        assert raised.value.status == library.c.GPT2EDGE_ERROR_UNSUPPORTED


def test_file_is_described(library: Any, python_model: GPT2) -> None:
    file = library.made("file", "file_open", bytes(Path(python_model.path)))
    config = library.struct("config")
    library.call("file_config", file, config)
    assert config.n_vocab == python_model.config["n_vocab"]
