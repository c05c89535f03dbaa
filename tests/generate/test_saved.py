"""Texts saved and resumed go on exactly as they would have; damaged files are refused."""

from __future__ import annotations

import json
import struct
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
@pytest.mark.parametrize("kv_type", ["int8", "f16", "f32"])
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
    keep=st.integers(1, 100),
    pin=st.integers(0, 20),
)
def test_a_sliding_window(
    model: GPT2, tmp_path_factory: pytest.TempPathFactory, n: int, again: int, keep: int, pin: int
) -> None:
    options = {"context_overflow": "slide", "keep": keep, "pin": pin, "max_tokens": 400}
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
    with pytest.raises(ValueError, match="come to its end"):
        stream.save(tmp_path / "text")
    assert list(tmp_path.iterdir()) == []


def test_codes_of_kernels_with_another_bias(model: GPT2) -> None:
    """An int8 cache written by kernels that add 128 to codes, read by some that do not."""
    core = _core.Model(str(model.path), 1)
    first = _core.Session(core, kv_type="int8")
    first.append(list(range(70)))
    page, rest = first.page(0), first.page(1)
    shape = core.config
    d_head, positions = shape["n_embd"] // shape["n_head"], 64
    codes, scales = 2 * positions * d_head, 2 * 4 * positions
    flipped = b""
    for head in range(0, 2 * len(page), codes + scales):
        part = (page + rest)[head : head + codes + scales]
        flipped += bytes(byte ^ 0x80 for byte in part[:codes]) + part[codes:]
    second = _core.Session(core, kv_type="int8")
    second.restore(list(range(70)), flipped, 128 - core.code_bias)
    first.append([5])
    second.append([5])
    assert (first.logits == second.logits).all()


def test_every_damage_is_found(model: GPT2, tmp_path: Path) -> None:
    path = saved_after(model, tmp_path / "text", 5)
    data = path.read_bytes()
    for at in [*range(60), *range(60, len(data), 4099), len(data) - 1]:
        damaged = bytearray(data)
        damaged[at] ^= 0x11
        path.write_bytes(damaged)
        with pytest.raises((FormatError, UnsupportedError), match="text: "):
            model.resume(path)
    for n in (0, 5, 19, 20, 100, len(data) - 1):
        path.write_bytes(data[:n])
        with pytest.raises(FormatError, match="text: "):
            model.resume(path)
    path.write_bytes(data + b"x")
    with pytest.raises(FormatError, match="damaged or cut short"):
        model.resume(path)


def rewritten(data: bytes, **changes: object) -> bytes:
    """With other fields in the header, and a checksum that is right again."""
    n_header, n_pages = struct.unpack_from("<IQ", data, 8)
    header = json.loads(data[20 : 20 + n_header]) | changes
    text = json.dumps(header).encode()
    body = data[:8] + struct.pack("<IQ", len(text), n_pages) + text + data[20 + n_header : -4]
    return body + struct.pack("<I", _core.crc32c(body))


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": "many"},
        {"tokens": [1, -2]},
        {"tokens": [1, 2**70]},
        {"tokens": [1]},
        {"prompt": [10**6] * 9},
        {"contexts": []},
        {"contexts": [[1, 2]]},
        {"contexts": [["a"]]},
        {"contexts": [[1] * 10_000]},
        {"sizes": [1]},
        {"sizes": [-5]},
        {"sizes": [2**63]},
        {"options": {}},
        {"options": {"logit_bias": [], "stop": [], "max_tokens": -7}},
        {"options": {"logit_bias": 5, "stop": []}},
        {"seed": -1},
        {"seed": "x"},
        {"logprobs": [{"a": 1}]},
        {"code_bias": "no"},
        {"model": 7},
        {"kv_type": None},
    ],
)
def test_hostile_headers(model: GPT2, tmp_path: Path, changes: dict) -> None:
    path = saved_after(model, tmp_path / "text", 5)
    path.write_bytes(rewritten(path.read_bytes(), **changes))
    with pytest.raises((FormatError, UnsupportedError), match="text: "):
        model.resume(path)


def test_other_models_and_settings(model: GPT2, tmp_path: Path) -> None:
    path = saved_after(model, tmp_path / "text", 5)
    with pytest.raises(UnsupportedError, match=r"n_ctx 128; load the model with that, not 1024"):
        GPT2().resume(path)
    with pytest.raises(UnsupportedError, match=r"kv_type 'f16'.*not 'int8'"):
        GPT2(n_ctx=128, kv_type="int8").resume(path)
    path.write_bytes(rewritten(path.read_bytes(), model="0" * 32))
    with pytest.raises(UnsupportedError, match=r"another model \(demo.gguf\)"):
        model.resume(path)
