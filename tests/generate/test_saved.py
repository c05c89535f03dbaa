"""Texts saved and resumed go on exactly as they would have; damaged files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pygpt2edge import GPT2, FormatError, UnsupportedError, _core

PROMPT = "It is a truth universally acknowledged, that"
OPTIONS = {"max_tokens": 40, "seed": 9, "ignore_eos": True}


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=2, n_ctx=128)


def saved_after(model: GPT2, path: Path, n: int, **options: object) -> Path:
    stream = model.stream(PROMPT, **(OPTIONS | options))
    for _ in range(n):
        next(stream)
    stream.save(path)
    return path


@pytest.mark.parametrize("n", [0, 1, 25])
@pytest.mark.parametrize("kv_type", ["int8", "int16", "f16", "f32"])
def test_goes_on_as_it_would_have(n: int, kv_type: str, tmp_path: Path) -> None:
    model = GPT2(n_threads=2, n_ctx=128, kv_type=kv_type)
    options = {"repetition_penalty": 1.2, "logprobs": 2, "logit_bias": {262: 0.5, 198: -1e30}}
    expected = model.generate(PROMPT, **OPTIONS, **options)
    path = saved_after(model, tmp_path / "text", n, **options)
    resumed = GPT2(n_threads=1, n_ctx=128, kv_type=kv_type).resume(path)
    assert resumed.completion().tokens == expected.tokens[:n]
    pieces = [piece.text for piece in resumed]
    found = resumed.completion()
    assert found.tokens == expected.tokens
    assert found.text == expected.text
    assert found.logprobs == expected.logprobs
    assert expected.text.endswith("".join(pieces))


@pytest.mark.slow
@settings(deadline=None, max_examples=15)
@given(
    n=st.integers(1, 300),
    again=st.integers(0, 60),
    keep=st.integers(0, 20),
    discard=st.integers(8, 107),
)
def test_a_sliding_window(
    model: GPT2,
    tmp_path_factory: pytest.TempPathFactory,
    n: int,
    again: int,
    keep: int,
    discard: int,
) -> None:
    options = {"context_overflow": "slide", "keep": keep, "discard": discard, "max_tokens": 400}
    path = saved_after(model, tmp_path_factory.mktemp("saved") / "text", n, **options)
    resumed = model.resume(path)
    for _ in range(again):
        next(resumed)
    resumed.save(path)
    expected = model.generate(PROMPT, **(OPTIONS | options))
    again_resumed = model.resume(path)
    for _ in again_resumed:
        pass
    assert again_resumed.completion().tokens == expected.tokens


def test_more_tokens_than_it_was_begun_with(model: GPT2, tmp_path: Path) -> None:
    stream = model.stream(PROMPT, max_tokens=10, seed=9, ignore_eos=True)
    for _ in stream:
        pass
    stream.save(tmp_path / "text")
    resumed = model.resume(tmp_path / "text", max_tokens=30)
    for _ in resumed:
        pass
    assert resumed.completion().tokens == model.generate(PROMPT, **OPTIONS).tokens


def test_a_text_at_its_end(model: GPT2, tmp_path: Path) -> None:
    stream = model.stream(PROMPT, max_tokens=40, seed=9, stop=" the")
    for _ in stream:
        pass
    assert stream.completion().finish_reason == "stop"
    with pytest.raises(ValueError, match="text has ended"):
        stream.save(tmp_path / "text")
    assert list(tmp_path.iterdir()) == []


def test_every_damage_is_found(model: GPT2, tmp_path: Path) -> None:
    path = saved_after(model, tmp_path / "text", 5)
    data = path.read_bytes()
    for at in [*range(60), *range(60, len(data), 4099), len(data) - 1]:
        damaged = bytearray(data)
        damaged[at] ^= 0x11
        path.write_bytes(damaged)
        with pytest.raises((FormatError, UnsupportedError), match="text: "):
            model.resume(path)
    for n in (0, 5, 23, 24, 100, len(data) - 1):
        path.write_bytes(data[:n])
        with pytest.raises(FormatError, match="text: "):
            model.resume(path)
    path.write_bytes(data + b"x")
    with pytest.raises(FormatError, match="damaged or cut short"):
        model.resume(path)


def test_other_models_and_settings(model: GPT2, tmp_path: Path) -> None:
    path = saved_after(model, tmp_path / "text", 5)
    with pytest.raises(UnsupportedError, match=r"n_ctx 128; load the model with that, not 1024"):
        GPT2().resume(path)
    with pytest.raises(UnsupportedError, match=r"kv_type 'f16'.*not 'int8'"):
        GPT2(n_ctx=128, kv_type="int8").resume(path)
    data = path.read_bytes()
    other = data[:24] + bytes(8) + data[32:-4]  # behind the lengths is the fingerprint
    path.write_bytes(other + _core.crc32c(other).to_bytes(4, "little"))
    with pytest.raises(UnsupportedError, match=r'another model \("demo.gguf"\)'):
        model.resume(path)
    path.write_bytes(data[:7] + b"9" + data[8:])
    with pytest.raises(UnsupportedError, match="another version of pygpt2edge"):
        model.resume(path)
