"""Compressed bytes come back as they were, are the same however they are computed, and damaged ones
are refused."""

from __future__ import annotations

import math
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st

from pygpt2edge import GPT2, FormatError, UnsupportedError, _core
from pygpt2edge.compress import MAX_MESSAGE_BYTES

TEXT = (
    "It is a truth universally acknowledged, that a single man in possession of a good "
    "fortune, must be in want of a wife. However little known the feelings or views of such a "
    "man may be on his first entering a neighbourhood, this truth is so well fixed in the "
    "minds of the surrounding families, that he is considered the rightful property of some "
    "one or other of their daughters.\n"
)
NOISE = random.Random(1).randbytes(600)
KINDS = {
    "empty": b"",
    "one byte": b"a",
    "zero": b"\x00",
    "no UTF-8": b"\xff",
    "all bytes": bytes(range(256)),
    "random": NOISE,
    "cut character": "naïve 🙂".encode()[:-1],
    "text with bytes that are none": TEXT.encode()[:80] + b"\xff\xfe\xc3" + TEXT.encode()[80:160],
    "CRLF": TEXT[:90].replace(" ", "\r\n").encode(),
    "end-of-text token": b"<|endoftext|>and<|endoftext|>",
    "other scripts": "наука и жизнь, 起初 神創造天地 🙂🙃".encode(),
    "spaces": b"  \n\t  " * 40,
    "repeated": b"abc " * 300,
}


@pytest.fixture(scope="module")
def model() -> GPT2:
    return GPT2(n_threads=2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> GPT2:
    """With a context of 64 tokens, which a text of some hundred characters fills."""
    shape = tiny_models.MODELS["plain"]
    path = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    tiny_models.write_gguf(path, shape, tiny_models.draw_weights(shape), "q8_0")
    return GPT2(path, n_threads=1)


@pytest.mark.parametrize("kind", KINDS)
def test_all_bytes_come_back(model: GPT2, kind: str) -> None:
    data = KINDS[kind]
    compressed = model.compress(data)
    assert model.decompress(compressed) == data
    assert len(compressed) <= len(data) + 25 + 12 * (len(data) > 0)
    message = model.compress(data, message=True)
    assert model.decompress(message, message=True) == data
    assert len(message) <= len(data) + 3


def test_a_text_becomes_much_shorter(model: GPT2) -> None:
    assert len(model.compress(TEXT)) < len(TEXT) / 3
    assert len(model.compress(TEXT[:91], message=True)) < len(TEXT[:91]) / 4
    assert model.decompress(model.compress(TEXT)) == TEXT.encode()
    assert model.compress(bytearray(TEXT.encode())) == model.compress(TEXT)


def test_a_message_takes_little_more_than_its_information(model: GPT2) -> None:
    """Two bytes, and what is left of the last one."""
    texts = [TEXT[start : start + 60] for start in range(0, 320, 10)]
    sizes = [len(model.compress(text, message=True)) for text in texts]
    information = [-model.score(text).sum() / math.log(2) / 8 for text in texts]
    more = [size - bits for size, bits in zip(sizes, information, strict=True)]
    assert max(more) < 3.1
    assert sum(more) / len(more) < 2.6


def test_texts_longer_than_the_context(model: GPT2) -> None:
    short = GPT2(n_ctx=50, n_threads=1)
    compressed = short.compress(TEXT)
    assert short.decompress(compressed) == TEXT.encode()
    assert model.decompress(compressed) == TEXT.encode()  # the file says how long contexts were
    assert compressed != model.compress(TEXT)
    assert short.compress(TEXT, message=True) == model.compress(TEXT, message=True)


def test_bytes_are_the_same_however_they_are_computed(
    model: GPT2, run_python: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    data = (TEXT * 3).encode() + NOISE
    expected = model.compress(data, block_size=300)
    expected += model.compress(TEXT[:200], message=True)
    code = (
        "import sys; from pathlib import Path; from pygpt2edge import GPT2\n"
        "model = GPT2(n_threads=int(sys.argv[3])); data = Path(sys.argv[1]).read_bytes()\n"
        "assert model.isa == sys.argv[4], model.isa\n"
        "file = model.compress(data, block_size=300)\n"
        "assert model.decompress(file, n_parallel=3) == data\n"
        f"message = model.compress({TEXT[:200]!r}, message=True)\n"
        "Path(sys.argv[2]).write_bytes(file + message)"
    )
    (tmp_path / "in").write_bytes(data)
    isas = [isa for isa in ("scalar", "avx2", "neon") if isa in _core.cpu()["isas"]]
    assert "scalar" in isas
    for n_threads, isa in enumerate(isas, start=2):
        done = run_python(code, tmp_path / "in", tmp_path / "out", n_threads, isa, GPT2EDGE_ISA=isa)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "out").read_bytes() == expected


@pytest.mark.parametrize("n_parallel", [1, 2, 5, 100])
def test_blocks_in_any_number_at_a_time(model: GPT2, n_parallel: int) -> None:
    data = TEXT.encode() * 2 + NOISE + TEXT.encode()
    compressed = model.compress(data, block_size=100)
    assert model.decompress(compressed, n_parallel=n_parallel) == data


@given(st.binary(max_size=40), st.integers(1, 30))
@settings(deadline=None, max_examples=15)
def test_any_bytes_in_any_blocks(data: bytes, block_size: int) -> None:
    model = _shared_model()
    compressed = model.compress(data, block_size=block_size)
    assert model.decompress(compressed) == data
    assert model.decompress(model.compress(data, message=True), message=True) == data


_MODELS: list[GPT2] = []


def _shared_model() -> GPT2:
    if not _MODELS:
        _MODELS.append(GPT2(n_threads=1))
    return _MODELS[0]


def test_every_damaged_byte_is_found(model: GPT2) -> None:
    compressed = model.compress(TEXT[:150], block_size=60)
    for i in range(len(compressed)):
        damaged = bytearray(compressed)
        damaged[i] ^= 1 + 37 * i % 255
        for wrong in (bytes(damaged), compressed[:i]):
            with pytest.raises((FormatError, UnsupportedError), match="^data: "):
                model.decompress(wrong)
    for n in (0, 1, 30, 500):
        with pytest.raises(FormatError, match="^data: "):
            model.decompress(NOISE[:n])
    with pytest.raises(FormatError, match="checksum"):
        model.decompress(compressed + b"\0")


def test_damaged_messages_are_found(model: GPT2) -> None:
    message = model.compress(TEXT[:91], message=True)
    for i in range(len(message)):
        damaged = bytearray(message)
        damaged[i] ^= 1 + 37 * i % 255
        for wrong in (bytes(damaged), message[:i]):
            with pytest.raises(FormatError, match="^data: "):
                model.decompress(wrong, message=True)


def test_another_model_is_refused(model: GPT2, tiny: GPT2) -> None:
    with pytest.raises(UnsupportedError, match="another model, of fingerprint .* as tiny.gguf"):
        tiny.decompress(model.compress(TEXT))
    with pytest.raises(FormatError, match="another model"):
        tiny.decompress(model.compress(TEXT[:91], message=True), message=True)


def test_progress_reaches_the_end(tiny: GPT2) -> None:
    data = TEXT.encode() + NOISE
    for call in (
        lambda progress: tiny.compress(data, block_size=99, progress=progress),
        lambda progress: tiny.decompress(tiny.compress(data, block_size=99), progress=progress),
    ):
        seen: list[tuple[int, int, str]] = []
        call(lambda *args, to=seen: to.append(args))
        assert seen[-1] == (len(data), len(data), "")
        assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)


def test_an_exception_in_progress_ends_the_work(tiny: GPT2) -> None:
    class StopError(Exception):
        pass

    def progress(done: int, total: int, what: str) -> None:
        raise StopError

    with pytest.raises(StopError):
        tiny.compress(TEXT, progress=progress)


def test_wrong_arguments(tiny: GPT2) -> None:
    for block_size in (0, -1, 2**24 + 1):
        with pytest.raises(ValueError, match=f"block_size is {block_size}, expected 1"):
            tiny.compress(TEXT, block_size=block_size)
    with pytest.raises(ValueError, match="a message has no blocks"):
        tiny.compress(TEXT, message=True, block_size=1)
    with pytest.raises(ValueError, match="at most 65536 bytes, and this 65537"):
        tiny.compress(b"\xff" * (MAX_MESSAGE_BYTES + 1), message=True)
    with pytest.raises(ValueError, match="n_parallel is 0, expected 1 or more"):
        tiny.decompress(tiny.compress(TEXT), n_parallel=0)
    for data in (None, 3, ["a"]):
        with pytest.raises(TypeError, match="expected bytes"):
            tiny.compress(data)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected bytes"):
        tiny.decompress("text")  # type: ignore[arg-type]
