"""The vocabulary as a GGUF file carries it, sound and damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import pytest

import pygpt2edge
from pygpt2edge import FormatError, UnsupportedError, _core

PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
ALPHABET = [chr(b) for b in PRINTABLE] + [chr(256 + i) for i in range(256 - len(PRINTABLE))]
KEY = "tokenizer.ggml."


def write_gguf(folder: Path, **changes: Any) -> str:
    """A file with a vocabulary of bytes, one merge and one special token; None leaves a key out."""
    keys: dict[str, Any] = {
        "model": "gpt2",
        "pre": "gpt-2",
        "tokens": [*ALPHABET, "ab", "<|endoftext|>"],
        "token_type": [1] * 257 + [3],
        "merges": ["a b"],
        "bos_token_id": 257,
        "eos_token_id": 257,
    } | changes
    path = folder / "vocabulary.gguf"
    writer = gguf.GGUFWriter(path, "gpt2")
    for name, value in keys.items():
        if isinstance(value, str):
            writer.add_string(KEY + name, value)
        elif isinstance(value, list):
            writer.add_array(KEY + name, value)
        elif value is not None:
            writer.add_uint32(KEY + name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


def read(folder: Path, **changes: Any) -> _core.TokenizerTables:
    return _core.tokenizer_tables(_core.GgufFile(write_gguf(folder, **changes)))


def test_what_stands_before_an_empty_text(tmp_path: Path) -> None:
    assert read(tmp_path, eos_token_id=256).start_token() == 257
    assert read(tmp_path, bos_token_id=None, eos_token_id=256).start_token() == 256
    neither = read(tmp_path, bos_token_id=None, eos_token_id=None)
    with pytest.raises(UnsupportedError, match=r"vocabulary.gguf: there is no \S+bos_token_id"):
        neither.start_token()


def test_a_sound_vocabulary(tmp_path: Path) -> None:
    tables = read(tmp_path)
    assert tables.token_bytes[:2] == [b"!", b'"']
    assert tables.token_bytes[ALPHABET.index("\u0120")] == b" "  # GPT-2's spelling of a space
    assert sorted(tables.token_bytes[:256]) == [bytes([b]) for b in range(256)]
    assert tables.token_bytes[256:] == [b"ab", b"<|endoftext|>"]
    assert tables.merges_ranks == tables.token_bytes[:257]
    assert tables.ranked_ids == list(range(257))
    assert tables.is_ranked_by_id
    assert tables.tokens_of_type(3) == [257]
    assert tables.token_types == [1] * 257 + [3]
    assert (tables.bos_token, tables.eos_token) == (257, 257)


def test_the_official_vocabulary_is_ranked_by_id() -> None:
    """OpenAI numbered the bytes and then the merges, so no merge may be found unreachable."""
    file = _core.GgufFile(str(pygpt2edge.demo_model_path()))
    tables = _core.tokenizer_tables(file)
    assert tables.ranked_ids == list(range(50256))
    assert tables.merges_ranks == tables.token_bytes[:-1]
    assert tables.token_bytes[262] == b" the"


def test_added_tokens_are_text_even_if_they_look_spelled(tmp_path: Path) -> None:
    tokens = [*ALPHABET, "ab", "\u0120x", "\u0120y", "\u6f22", "<|endoftext|>"]
    tables = read(tmp_path, tokens=tokens, token_type=[1] * 257 + [4, 1, 4, 3])
    assert tables.token_bytes[257:260] == ["\u0120x".encode(), b" y", "\u6f22".encode()]


@pytest.mark.parametrize("pre", ["gpt-2", "default", None])
def test_names_of_gpt2s_way_of_cutting_text(tmp_path: Path, pre: str | None) -> None:
    assert len(read(tmp_path, pre=pre).token_bytes) == 258


def test_optional_keys(tmp_path: Path) -> None:
    tables = read(tmp_path, token_type=None, bos_token_id=None, eos_token_id=None)
    assert tables.token_types == [1] * 258
    assert tables.bos_token is None
    assert tables.eos_token is None


def test_a_vocabulary_of_bytes_needs_no_merges(tmp_path: Path) -> None:
    tables = read(
        tmp_path, tokens=[*ALPHABET, "x!", "!x"], token_type=[1] * 256 + [3, 5], merges=[]
    )
    assert tables.ranked_ids == list(range(256))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model": "rwkv"}, 'model is "rwkv", expected "gpt2", "bert", "t5" or "llama"'),
        ({"model": "evil\n\x1b[31m" + "x" * 99}, r'model is "evil\?\?\[31mx{30}"'),
    ],
)
def test_other_tokenizers_are_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UnsupportedError, match=rf"vocabulary.gguf: tokenizer.ggml.{problem}"):
        read(tmp_path, **changes)


TOKENS = [*ALPHABET, "ab", "<|endoftext|>"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"model": None}, "no metadata key tokenizer.ggml.model"),
        ({"tokens": None}, "no metadata key tokenizer.ggml.tokens"),
        ({"merges": None}, "no tokenizer.ggml.merges, and without it text cannot be encoded"),
        ({"tokens": [1, 2]}, "tokenizer.ggml.tokens is not an array of strings"),
        ({"tokens": [*TOKENS[:-1], "ab"]}, r"tokens\[257\] is the same as token 256"),
        ({"tokens": [*TOKENS[:-1], ""]}, r"tokens\[257\] is empty"),
        ({"tokens": TOKENS[:-1]}, "token_type has 258 entries for 257 tokens"),
        ({"token_type": [1] * 257 + [-3]}, r"token_type\[257\] is -3"),
        ({"token_type": ["x"] * 258}, "token_type is not an array of .*integers"),
        ({"merges": [1]}, "tokenizer.ggml.merges is not an array of strings"),
        ({"merges": ["a b", "ab"]}, r"merges\[1\] is not two tokens with a space between"),
        ({"merges": [" a b"]}, r"merges\[0\] is not two tokens"),
        ({"merges": ["a b "]}, r"merges\[0\] is not two tokens"),
        ({"merges": ["ab "]}, r"merges\[0\] is not two tokens"),
        ({"merges": [""]}, r"merges\[0\] is not two tokens"),
        ({"merges": ["a c"]}, r"merges\[0\] uses or makes a token that is not in"),
        ({"merges": ["zz b"]}, r"merges\[0\] uses or makes a token that is not in"),
        (
            {"tokens": [*ALPHABET, "\u6f22", "a\u6f22"], "merges": ["a \u6f22"]},
            r"merges\[0\] is not spelled in GPT-2's byte alphabet",
        ),
        ({"merges": ["a b", "a b"]}, r"merges\[1\] is the same as merge 0"),
        ({"bos_token_id": 258}, "bos_token_id is 258, but there are 258 tokens"),
        ({"eos_token_id": 2**32 - 1}, "eos_token_id is 4294967295, but there are 258 tokens"),
        ({"eos_token_id": "end"}, "eos_token_id is not a whole number"),
    ],
)
def test_damage_is_named_by_file_key_and_index(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(FormatError, match=rf"vocabulary\.gguf: .*{problem}") as caught:
        read(tmp_path, **changes)
    assert "\n" not in str(caught.value)


def test_very_long_tokens_take_no_quadratic_time(tmp_path: Path) -> None:
    """A file of a megabyte must not cost minutes. A token of 2^19 letters, doubled 19 times."""
    doubled = ["a" * 2**i for i in range(1, 20)]
    tables = read(
        tmp_path,
        tokens=[*ALPHABET, *doubled],
        token_type=None,
        merges=[f"{token[: len(token) // 2]} {token[len(token) // 2 :]}" for token in doubled],
        bos_token_id=None,
        eos_token_id=None,
    )
    assert tables.merges_ranks[256:] == [token.encode() for token in doubled]
