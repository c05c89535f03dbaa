"""Tokens, sessions, scores, attention and next words through the C library, against Python's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_library import CError, ffi

from pygpt2edge import GPT2

TEXT = "It is a truth universally acknowledged, naïve 🙂 \n\n and so on"


def floats(n: int) -> tuple[np.ndarray[Any, np.dtype[np.float32]], Any]:
    array = np.zeros(n, np.float32)
    return array, ffi.cast("float*", array.ctypes.data)


def test_tokens_both_ways(library: Any, model: Any, python_model: GPT2) -> None:
    tokens = library.encode(model, TEXT)
    assert tokens == python_model.tokenizer.encode(TEXT)
    assert library.array("char", "decode", model, tokens, len(tokens)).decode() == TEXT
    assert library.encode(model, "") == []
    assert library.encode(model, "<|endoftext|>", allow_special=True) == [50256]
    n = ffi.new("size_t*")
    library.call("encode", model, b"a b c", 2**64 - 1, 0, ffi.NULL, 0, n)  # null-terminated
    assert n[0] == 3
    with pytest.raises(CError, match="room for 2 elements, there are 3") as raised:
        library.call("encode", model, b"a b c", 5, 0, ffi.new("int32_t[]", 2), 2, n)
    assert raised.value.status == library.c.GPT2EDGE_ERROR_BUFFER
    with pytest.raises(CError, match="50257"):
        library.array("char", "decode", model, [50257], 1)


def test_not_utf8_is_replaced(library: Any, model: Any, python_model: GPT2) -> None:
    data = b"a\xff\xc3b"
    tokens = library.array("int32_t", "encode", model, data, len(data), 0)
    assert tokens == python_model.tokenizer.encode(data.decode(errors="replace"))


def test_config_tensors_and_memory(library: Any, model: Any, python_model: GPT2) -> None:
    config = library.struct("config")
    library.call("model_config", model, config)
    for name in ("n_layer", "n_head", "n_embd", "n_inner", "n_ctx", "n_vocab"):
        assert getattr(config, name) == python_model.config[name]
    assert (config.bos_token, config.eos_token) == (50256, 50256)

    file = library.made("file", "file_open", bytes(python_model.path))
    names, tensor = [], library.struct("tensor")
    while library.call("file_tensor", file, len(names), tensor) == library.c.GPT2EDGE_OK:
        names.append(ffi.string(tensor.name).decode())
        if names[-1] == "token_embd.weight":
            assert list(tensor.dims)[: tensor.n_dims] == [config.n_vocab, config.n_embd]
            assert ffi.string(tensor.type) == b"Q4_0"
    assert len(names) == len(set(names)) == 76
    memory = library.struct("memory")
    library.call("file_memory", file, ffi.NULL, memory)
    assert memory.weights == python_model.memory["weights"]
    assert memory.cache > 0
    library.call("file_close", file)


def test_models_from_a_descriptor_and_from_memory(library: Any, python_model: GPT2) -> None:
    expected = python_model.generate("It is", max_tokens=5, seed=1).text
    with python_model.path.open("rb") as opened:
        file = library.made("file", "file_open_descriptor", opened.fileno())
    of_descriptor = library.made("model", "model_load", file, ffi.NULL)
    data = python_model.path.read_bytes()
    held = library.made("file", "file_open_bytes", ffi.from_buffer(data), len(data))
    of_bytes = library.made("model", "model_load", held, ffi.NULL)
    for each in (file, held):
        library.call("file_close", each)
    del data  # a loaded model does not need it
    for loaded in (of_descriptor, of_bytes):
        assert library.rest(library.text(loaded, "It is", max_tokens=5, seed=1)) == expected
        library.call("model_close", loaded)
    with pytest.raises(CError, match="descriptor") as raised:
        library.made("file", "file_open_descriptor", -1)
    assert raised.value.status == library.c.GPT2EDGE_ERROR_FILE


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a file that is mapped as it is")
def test_a_model_that_is_shortened_while_it_is_open(
    library: Any, python_model: GPT2, tmp_path: Path
) -> None:
    path = tmp_path / "short.gguf"
    shutil.copyfile(python_model.path, path)
    file = library.made("file", "file_open", bytes(path))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(CError, match=r"cannot read .*short\.gguf: it was shortened") as raised:
        library.made("model", "model_load", file, ffi.NULL)
    assert raised.value.status == library.c.GPT2EDGE_ERROR_FILE
    os.truncate(path, 0)
    with pytest.raises(CError, match="it was shortened"):
        library.call("file_config", file, library.struct("config"))
    library.call("file_close", file)


def test_sessions(library: Any, model: Any, python_model: GPT2) -> None:
    tokens = library.encode(model, TEXT)
    expected = python_model.logits(tokens)
    n, n_vocab = expected.shape
    session = library.made("session", "session_open", model)
    all_logits, pointer = floats(n * n_vocab)
    ids = ffi.new("int32_t[]", tokens)
    part = ffi.new("gpt2edge_part*", [session, ids, n, pointer])
    library.call("session_append", part, 1)
    assert (all_logits.reshape(n, n_vocab) == expected).all()
    last = library.array("float", "session_logits", session)
    assert (np.array(last, np.float32) == expected[-1]).all()

    fork = library.made("session", "session_fork", session)
    library.call("session_truncate", session, 3)
    assert list(library.array("int32_t", "session_tokens", session)) == tokens[:3]
    assert list(library.array("int32_t", "session_tokens", fork)) == tokens
    parts = ffi.new(
        "gpt2edge_part[]", [[session, ids + 3, n - 3, ffi.NULL], [fork, ids, 1, ffi.NULL]]
    )
    library.call("session_append", parts, 2)
    again = library.array("float", "session_logits", session)
    assert (np.array(again, np.float32) == expected[-1]).all()
    with pytest.raises(CError, match="twice"):
        library.call("session_append", ffi.new("gpt2edge_part[]", [parts[0], parts[0]]), 2)
    with pytest.raises(CError, match="has .* tokens"):
        library.call("session_truncate", session, 10**6)
    too_many = ffi.new("int32_t[]", [1] * 1025)
    with pytest.raises(CError) as raised:
        library.call(
            "session_append", ffi.new("gpt2edge_part*", [session, too_many, 1025, ffi.NULL]), 1
        )
    assert raised.value.status == library.c.GPT2EDGE_ERROR_CONTEXT_LENGTH


@pytest.mark.parametrize("n", [0, 1, 7, 300])
def test_scores(library: Any, model: Any, python_model: GPT2, n: int) -> None:
    tokens = (library.encode(model, TEXT) * 30)[:n]
    scores, pointer = floats(max(n, 1))
    library.call("score", model, tokens, n, pointer)
    assert (scores[:n] == python_model.score(tokens)).all()


def test_attention(library: Any, model: Any, python_model: GPT2) -> None:
    tokens = library.encode(model, TEXT)
    expected = python_model.attention(tokens, layers=[4, 1])
    found = library.array("float", "attention", model, tokens, len(tokens), [4, 1], 2)
    assert (np.array(found, np.float32) == expected.ravel()).all()
    for layers, said in (([6], "layer 6 is not there"), ([1, 1], "comes twice")):
        with pytest.raises(CError, match=said):
            library.array("float", "attention", model, tokens, 3, layers, len(layers))


def test_next_words(library: Any, model: Any, python_model: GPT2) -> None:
    suggester = library.made("suggester", "suggester_open", model)
    words, n = ffi.new("const gpt2edge_word**"), ffi.new("size_t*")
    for text in ("How is the wea", "It is a truth universally ", "", "naï"):
        library.call("suggest", suggester, text.encode(), len(text.encode()), 5, words, n)
        found = [
            (ffi.string(w.word).decode(), ffi.string(w.completion).decode(), w.probability)
            for w in ffi.unpack(words[0], n[0])
        ]
        expected = python_model.suggest(text, 5)
        assert found == [(each.word, each.completion, each.probability) for each in expected]
    library.call("suggester_close", suggester)


def test_interrupt(library: Any, python_model: GPT2, tmp_path: Path) -> None:
    asked = []

    @ffi.callback("int32_t(void*)")
    def stop(_: Any) -> int:
        asked.append(1)
        return len(asked) <= 1

    loaded = library.model(python_model.path, interrupt=stop)
    text = library.text(loaded, "It is", max_tokens=5, seed=1)
    with pytest.raises(CError) as raised:
        library.rest(text)
    assert raised.value.status == library.c.GPT2EDGE_ERROR_INTERRUPTED
    expected = python_model.generate("It is", max_tokens=5, seed=1).text
    assert library.rest(text) == expected  # as if nothing had happened


@pytest.mark.parametrize("form", ["FILE", "MESSAGE"])
def test_compression(library: Any, model: Any, python_model: GPT2, form: str) -> None:
    number = getattr(library.c, f"GPT2EDGE_COMPRESSED_{form}")
    data = TEXT.encode() + b"\xff"
    packed = bytes(library.array("char", "compress", model, data, len(data), number))
    assert packed == python_model.compress(data, message=form == "MESSAGE")
    assert library.array("char", "decompress", model, packed, len(packed), number) == data
    n, small = ffi.new("size_t*"), ffi.new("char[]", 2)
    with pytest.raises(CError) as raised:
        library.call("decompress", model, packed, len(packed), number, small, 2, n)
    assert (raised.value.status, n[0]) == (library.c.GPT2EDGE_ERROR_BUFFER, len(data))
    with pytest.raises(CError, match="^data: ") as raised:
        library.array("char", "decompress", model, packed[:-3], len(packed) - 3, number)
    assert raised.value.status == library.c.GPT2EDGE_ERROR_FORMAT
    with pytest.raises(CError, match="form is 7"):
        library.array("char", "compress", model, data, len(data), 7)
